"""Sends what users want to hear of, by mail and webhook."""
