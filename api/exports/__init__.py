"""All that a user has, as one file."""
