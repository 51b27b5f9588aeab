"""The questions: which runs each needs, and what the runs say, compared with the sheet."""
