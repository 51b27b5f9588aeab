"""Whether the lab works."""
