"""Question sets: the templates of installed packages."""
