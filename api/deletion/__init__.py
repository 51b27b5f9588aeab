"""Deleting runs and studies."""
