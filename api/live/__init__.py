"""Event streams and held requests: they hear that something changed."""
