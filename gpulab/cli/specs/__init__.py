"""What is to be submitted, read from files and options."""
