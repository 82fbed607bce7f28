"""One file for each dataset; its place in the Query type is in the package above."""
