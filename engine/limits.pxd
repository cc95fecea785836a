"""What keeps stock from being sold: what stores hold back, and thresholds."""
