"""Bearer tokens: made once, shown once, stored as a digest."""

import secrets
from hashlib import sha256

TOKEN_PREFIX = "glab_"  # noqa: S105 - the public beginning of every token, for scanners of leaked secrets
TOKEN_BYTES = 32


def new_token() -> str:
    """A token of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> bytes:
    """What is stored of a token."""
    return sha256(token.encode()).digest()
