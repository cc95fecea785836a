"""All that the core knows, as arrays, and back."""
