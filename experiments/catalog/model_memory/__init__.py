"""Exact bytes of a model and its optimizer, and readings of two steps."""
