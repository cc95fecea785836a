"""The compiled engine: every module under this package is Cython, one noun each."""
