"""HTTP to one lab: where it is, what is sent, and what its answers mean."""
