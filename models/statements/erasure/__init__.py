"""Deleting runs and studies, and what is a user's own."""
