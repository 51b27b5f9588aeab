"""The planner: pure functions from the queue and the machines to what starts where, and why the rest waits."""
