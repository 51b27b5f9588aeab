"""Pictures that carry their label, and dropout."""
