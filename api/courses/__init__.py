"""Courses: the templates of installed packages."""
