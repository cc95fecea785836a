"""Orders as eight platforms send them, made ours: read, judged, and none of them lost."""
