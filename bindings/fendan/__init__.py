"""Fendan."""
