"""The value of a column in SQL."""
