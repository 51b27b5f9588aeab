"""Assignments and what was handed in."""
