"""One file for each dataset; schema/build.py lists them."""
