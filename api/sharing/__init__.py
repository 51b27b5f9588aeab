"""What users let others read."""
