"""The command `gateway export`: all rows of an operation into a file, resumable."""
