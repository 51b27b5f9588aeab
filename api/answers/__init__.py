"""Correct answers, and from whom they are held back."""
