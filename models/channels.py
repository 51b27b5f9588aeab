"""The NOTIFY channels. A notice is a hint: whoever misses one finds the same by looking."""

JOBS = "gpulab_jobs"
"""A job changed: `<job id> <event id> <version> <state>`."""
DATA = "gpulab_data"
"""A running job has new records: `<job id>`."""
CANCEL = "gpulab_cancel"
"""A running job should stop: `<job id>`."""
