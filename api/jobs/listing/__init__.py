"""Lists of jobs: what narrows them, and their pages."""
