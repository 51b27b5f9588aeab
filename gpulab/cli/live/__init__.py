"""Screens that stay up to date: what they ask the lab, what they draw, and the keys they hear."""
