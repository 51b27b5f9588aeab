"""What programs find installed."""
