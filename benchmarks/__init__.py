"""Measures the figures that docs/benchmarks.md states: `python -m benchmarks`, or `make bench`."""
