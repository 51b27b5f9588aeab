"""Experiments that only the lab itself submits: they run like any other and are not offered to users."""
