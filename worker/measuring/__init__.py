"""Load of the machine and its GPUs, and the jobs that cause it."""
