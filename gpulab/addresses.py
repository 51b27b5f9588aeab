"""Addresses of a lab's own pages and interface."""

PAGES = frozenset(
    {
        *("jobs", "compare", "submit", "studies", "predictions", "nodes", "class", "account", "sign-in", "assets"),
        *("v1", "client", "healthz", "readyz", "metrics", "openapi.json", "problems", "index.html"),
    }
)
"""First parts of them. What stands in front of one in an address is where the lab is."""
