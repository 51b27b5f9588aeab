"""What runs recorded, printed and kept."""
