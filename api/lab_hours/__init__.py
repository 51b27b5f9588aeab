"""Lab hours: GPUs kept free for a section, an assignment or named users."""
