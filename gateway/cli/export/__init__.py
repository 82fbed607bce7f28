"""The command `gateway export`: write all rows of an operation to a file, resumable."""
