"""What the calls do: statements run, schemas built, errors raised."""
