"""Anonymising and deleting users."""
