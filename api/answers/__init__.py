"""Correct answers, and the users from which they are held back."""
