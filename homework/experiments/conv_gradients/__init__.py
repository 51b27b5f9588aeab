"""The gradient of a convolution's weights: what it is, and how it grows with the image."""
