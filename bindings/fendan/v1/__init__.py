"""The messages and stubs of proto/fendan/v1, generated when the package is built."""
