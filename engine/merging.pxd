"""Lines of one SKU in one order, added up."""
