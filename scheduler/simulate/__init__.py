"""Replays a workload through the planner, under the shipped policy and under others, and measures what people would feel."""
