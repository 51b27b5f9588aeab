"""Predictions of GPU memory."""
