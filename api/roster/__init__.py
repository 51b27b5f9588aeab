"""The roster of a class."""
