"""Measures the memory of a student's program on an emulated card, inside the sandbox."""
