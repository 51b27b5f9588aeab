"""The processes that runs live in, the directory they write, and how a run is told and read."""
