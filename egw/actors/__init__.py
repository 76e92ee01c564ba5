"""One actor a file."""
