"""Compiled code imports the classes from where they are: `request` and `reply`."""
