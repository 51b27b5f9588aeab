"""Which module of a model holds the memory of a step."""
