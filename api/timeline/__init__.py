"""What ran where and when, and how busy the GPUs were."""
