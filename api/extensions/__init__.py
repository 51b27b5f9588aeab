"""Later deadlines for single users and sections."""
