"""The questions: which runs each needs, and what the runs say beside the sheet."""
