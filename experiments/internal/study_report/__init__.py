"""The report of a study, rendered as a job like any other."""
