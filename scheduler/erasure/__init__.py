"""Users are anonymised or deleted here, a little at a time."""
