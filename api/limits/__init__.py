"""What one user may take of this process, so that everybody is served."""
