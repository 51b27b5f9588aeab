"""Students' own programs on this node: fetched, started in a sandbox, limited, and read without trust."""
