"""A student's own script, module or command."""
