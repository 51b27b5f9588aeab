"""From a run directory into the database and the object store."""
