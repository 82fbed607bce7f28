"""The gateway's runtime and its upstream side. Nothing in this package but ``__main__`` knows GraphQL."""
