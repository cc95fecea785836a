"""Every promise about counts, held against every count."""
