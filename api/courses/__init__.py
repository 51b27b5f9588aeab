"""Courses: classes that share the lab, each with its people, assignments, lab hours and runs."""
