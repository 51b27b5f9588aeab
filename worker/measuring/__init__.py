"""What the machine and its GPUs are doing, and for whom."""
