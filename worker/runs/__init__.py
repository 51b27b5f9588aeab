"""An attempt from claim to verdict, and the processes that it runs in."""
