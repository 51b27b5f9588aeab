"""Addresses of a lab's own pages and interface."""

PAGES = frozenset(
    {
        *("jobs", "compare", "submit", "studies", "programs", "predictions", "assignments", "nodes", "class"),
        *("account", "sign-in", "docs", "assets", "v1", "client", "healthz", "readyz", "metrics", "openapi.json"),
        *("problems", "index.html"),
    }
)
"""First parts of them. What stands in front of one in an address is where the lab is."""
QUOTES = "'\"`<>\u2018\u2019\u201c\u201d\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""What surrounds an address or a token that was copied from a page, a letter or a table."""


def pasted(text: str) -> str:
    """Without blanks, quotes and unseen characters around it."""
    bare = text.strip()
    while (shorter := bare.strip(QUOTES).strip()) != bare:
        bare = shorter
    return bare
