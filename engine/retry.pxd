"""Orders that nobody fills are tried again."""
