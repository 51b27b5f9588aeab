"""The data sets of a node: which there are, and their pictures as tensors."""
