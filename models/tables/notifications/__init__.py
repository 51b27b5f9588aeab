"""What the lab says to its users: on every page, by mail and by webhook."""
