"""Replays of workloads through the planner, under the lab's policy and under others."""
