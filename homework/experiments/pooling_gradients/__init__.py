"""Max and average pooling: where their gradients go, and what they keep of a thin band."""
