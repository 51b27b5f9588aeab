"""The processes that runs live in, the directory they write, how a run gets its order, and how its records are read."""
