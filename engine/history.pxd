"""Events as objects; nothing here is for nogil code."""
