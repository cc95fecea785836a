"""The core as it was, from the arrays of a snapshot."""
