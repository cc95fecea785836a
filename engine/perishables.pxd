"""Lots on the shelves; for Python alone."""
