"""Grades: who gives points for a submission, the tables that platforms import, and corrections that come back."""
