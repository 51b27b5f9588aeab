"""Questions about GPU memory: who is served next, what was answered, what would have fitted."""
