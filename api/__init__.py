"""The HTTP interface of the lab."""
