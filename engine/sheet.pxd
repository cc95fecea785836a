"""What every store has of one SKU, in one piece."""
