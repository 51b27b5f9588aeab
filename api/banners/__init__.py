"""What every page of the dashboard says on top."""
