"""Linear regression under input dropout: the closed form and the iteration."""
