"""Images that carry their label, and dropout."""
