"""A student's own notebook."""
