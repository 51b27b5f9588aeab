"""Which notifications a user gets, and how they arrive."""
