"""Commands for machines, and the view of the whole lab."""
