"""Lists in pages. A cursor is opaque: it says where the list goes on, and which list it was."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any
from uuid import UUID

from api.http.problems import InvalidCursor

Fetch = Callable[[Any, int], Awaitable[Sequence[Any]]]
"""Given the position to go on from, or None, and a limit: the rows behind it."""


def _id_of(row: Any) -> str:
    return str(row.id)


async def paged(
    kind: str,
    filters: Mapping[str, Any],
    cursor: str | None,
    limit: int,
    fetch: Fetch,
    *,
    decode: Callable[[str, str, Mapping[str, Any]], Any] | None = None,
    position: Callable[[Any], str | int] = _id_of,
) -> tuple[Sequence[Any], str | None]:
    """The rows of one page, and the cursor of the next one. Raises `InvalidCursor`.

    `decode` reads the position of a row that `position` gives: an id where nothing else is said.
    """
    after = None if cursor is None else (decode or decode_id)(cursor, kind, filters)
    rows = await fetch(after, limit + 1)
    more = len(rows) > limit
    return rows[:limit], encode(kind, filters, position(rows[limit - 1])) if more else None


def encode(kind: str, filters: Mapping[str, Any], position: str | int) -> str:
    text = json.dumps([kind, _fingerprint(filters), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_id(cursor: str, kind: str, filters: Mapping[str, Any]) -> UUID:
    """As `decode`, for lists whose position is an id."""
    try:
        return UUID(str(decode(cursor, kind, filters)))
    except ValueError:
        raise _invalid(cursor, "it does not come from this lab") from None


def invalid_cursor(cursor: str) -> InvalidCursor:
    """For a position that `decode` cannot judge."""
    return _invalid(cursor, "it was not given out by the lab")


def decode_number(cursor: str, kind: str, filters: Mapping[str, Any]) -> int:
    """As `decode`, for lists whose position is a number."""
    position = decode(cursor, kind, filters)
    if not isinstance(position, int) or not 0 <= position < 2**63:
        raise _invalid(cursor, "it does not come from this lab")
    return position


def decode_name(cursor: str, kind: str, filters: Mapping[str, Any]) -> str:
    """As `decode`, for lists whose position is a name."""
    position = decode(cursor, kind, filters)
    # Half of a surrogate pair can be written in JSON, and is no character for the database.
    if not isinstance(position, str) or "\0" in position or any("\ud800" <= one <= "\udfff" for one in position):
        raise _invalid(cursor, "it does not come from this lab")
    return position


def decode_place(cursor: str, kind: str, filters: Mapping[str, Any], groups: Sequence[str]) -> tuple[str, UUID, str]:
    """As `decode`, for lists by group and name: their position is `group/id/name`."""
    group, _, rest = decode_name(cursor, kind, filters).partition("/")
    if group not in groups:
        raise _invalid(cursor, "it does not come from this lab")
    return group, *_id_and_name(cursor, rest)


def decode_id_and_name(cursor: str, kind: str, filters: Mapping[str, Any]) -> tuple[UUID, str]:
    """As `decode`, for lists by name in which several may have one: their position is `id/name`."""
    return _id_and_name(cursor, decode_name(cursor, kind, filters))


def _id_and_name(cursor: str, position: str) -> tuple[UUID, str]:
    identifier, _, name = position.partition("/")
    try:
        return UUID(identifier), name
    except ValueError:
        raise _invalid(cursor, "it was not given out by the lab") from None


def decode(cursor: str, kind: str, filters: Mapping[str, Any]) -> str | int:
    """The position. Raises `InvalidCursor` for one that this list with these filters did not give out."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found_kind, fingerprint, position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, TypeError, RecursionError):
        raise _invalid(cursor, "it does not come from this lab") from None
    if found_kind != kind or not isinstance(position, str | int) or isinstance(position, bool):
        raise _invalid(cursor, "it belongs to another list")
    if fingerprint != _fingerprint(filters):
        raise _invalid(cursor, "it belongs to other filters; use the same filters for all pages")
    return position


def _fingerprint(filters: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(filters, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


def _invalid(cursor: str, message: str) -> InvalidCursor:
    return InvalidCursor.of("query.cursor", f"cannot be used: {message}", value=cursor)
