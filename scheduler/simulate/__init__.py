"""Replays a workload through the planner, under its policy and under others, and measures what users would feel."""
