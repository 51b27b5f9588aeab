"""Decides which job runs where: a pure planner and the loop around it."""
