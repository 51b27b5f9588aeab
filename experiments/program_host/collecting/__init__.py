"""Takes what a student's program leaves in its folder."""
