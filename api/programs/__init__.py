"""Programs of users: sent, stored once, read, compared."""
