"""Bearer tokens and the secrets of sessions: made once, shown once, stored as a digest."""

import base64
import hmac
import secrets
from hashlib import sha256

TOKEN_PREFIX = "glab_"  # noqa: S105 - the public beginning of every token, for scanners of leaked secrets
TOKEN_BYTES = 32
SHOWN_CHARACTERS = len(TOKEN_PREFIX) + 4
"""The first characters, which are shown. They distinguish the tokens of a user and keep 232 bits secret."""


def new_token() -> str:
    """A token of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def new_session() -> str:
    """The value of a session's cookie: 256 random bits, and no token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> bytes:
    """What is stored of a token or of a session."""
    return sha256(token.encode(errors="surrogateescape")).digest()


def prefix_of(token: str) -> str:
    """What a list of tokens shows of one."""
    return token[:SHOWN_CHARACTERS]


def csrf_of(session: str) -> str:
    """The value that proves a request to come from a page that could read its answers; it follows from the cookie."""
    made = hmac.digest(session.encode(errors="surrogateescape"), b"csrf", "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
