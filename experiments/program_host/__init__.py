"""Runs a student's program inside the sandbox: `python -m experiments.program_host`."""
