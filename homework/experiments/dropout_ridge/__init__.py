"""Dropout on the inputs as a ridge penalty."""
