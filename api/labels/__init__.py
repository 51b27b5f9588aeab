"""The name, the tags and the note of a job."""
