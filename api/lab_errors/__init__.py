"""What failed in the lab itself."""
