"""What a convolution's built-in assumptions buy: telling the orientation of a band with few images."""
