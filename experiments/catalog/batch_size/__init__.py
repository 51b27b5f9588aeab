"""Training at one batch size: time, memory, accuracy."""
