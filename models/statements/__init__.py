"""SQL that more than one lab process runs: functions that return a statement and touch no connection."""
