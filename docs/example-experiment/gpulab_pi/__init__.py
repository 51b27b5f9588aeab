"""Pi by throwing darts."""
