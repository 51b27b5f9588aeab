"""Where the disk goes."""
