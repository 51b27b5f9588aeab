"""Every SQL statement of the lab: functions that return a statement and touch no connection."""
