"""The name and the tags of a job."""
