"""The students of an assignment, all at once."""
