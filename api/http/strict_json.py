"""JSON as this API accepts it: UTF-8, no NaN or Infinity, no repeated keys, nothing PostgreSQL cannot store.

A body may come from an attacker who wants to block the lab, so everything here takes time in proportion to its
length: its size and depth are counted on the bytes before anything is built of them, and values are visited one by one
only where the bytes hold something that may have to be refused.
"""

import codecs
import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

from api.http.problems import InvalidRequest, MalformedBody, shortened

MAX_DEPTH = 32
MAX_VALUES = 20_000
"""Values in all the lists and objects of one body together: reading them takes a few milliseconds."""
MAX_KEYS = 1000
"""Of one object."""
MAX_INTEGER = 2**63 - 1
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
LARGE_NUMBER = re.compile(rb"[0-9](?:[0-9]{18}|[eE]\+?[0-9]{3})")
"""Numbers outside of this are finite and fit into 64 bits."""
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def loads(body: bytes) -> Any:
    """The value of `body`. Raises `MalformedBody` where it is no JSON of ours, `InvalidRequest` for a bad value."""
    body = body.removeprefix(codecs.BOM_UTF8)
    outside = _outside_of_strings(body)
    _check_shape(outside)
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise MalformedBody("the body has an integer with thousands of digits") from None
    if LARGE_NUMBER.search(outside) or rb"\u0000" in body or SURROGATE.search(body):
        _check(value, [])
    return value


def _outside_of_strings(body: bytes) -> bytes:
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in body else body
    # At most two strings belong to a value: its key and itself.
    if bare.count(b'"') > 4 * MAX_VALUES + 4:
        _refuse_size()
    return b"".join(bare.split(b'"')[::2])


def _check_shape(outside: bytes) -> None:
    """Refuse what is nested too deep or has too many values. Text that is no JSON may pass; the parser refuses it."""
    brackets = outside.translate(None, NOT_BRACKETS)
    if outside.count(b",") + len(brackets) // 2 > MAX_VALUES:
        _refuse_size()
    if len(brackets) > MAX_DEPTH and max(accumulate(map(STEPS.__getitem__, brackets))) > MAX_DEPTH:
        raise MalformedBody(f"nested deeper than {MAX_DEPTH} levels")


def _refuse_size() -> NoReturn:
    raise MalformedBody(f"the body has more than {MAX_VALUES} values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise MalformedBody(f"an object has more than {MAX_KEYS} keys")
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        # `add` returns None, so a name is taken only where it was there before.
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MalformedBody(f"the key {shortened(twice)!r} appears twice in one object")
    return made


def _constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not JSON; numbers must be finite")


def _check(value: Any, path: list[str | int]) -> None:
    """`path` is where `value` is: one list for all, so that no value costs a copy of it."""
    match value:
        case str():
            _check_text(value, path)
        case float() if not math.isfinite(value):
            _refuse(path, "the number is too large", {"finite": True}, None)
        case int() if abs(value) > MAX_INTEGER:
            _refuse(path, "the integer is too large", {"le": MAX_INTEGER, "ge": -MAX_INTEGER}, value)
        case dict():
            for key, child in value.items():
                path.append(key)
                _check_text(key, path)
                _check(child, path)
                path.pop()
        case list():
            for index, child in enumerate(value):
                path.append(index)
                _check(child, path)
                path.pop()


def _check_text(text: str, path: list[str | int]) -> None:
    if "\0" in text:
        _refuse(path, "the character U+0000 cannot be stored", None, text.replace("\0", "\\u0000"))
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(path, "half of a surrogate pair is not a character", None, None)


def _refuse(path: list[str | int], message: str, limit: dict[str, Any] | None, value: object) -> NoReturn:
    where = ".".join(str(part)[:300] for part in path)
    shown = where.replace("\0", "\\u0000").encode("ascii", "backslashreplace").decode() or "body"
    raise InvalidRequest.of(shown[:300], message, limit=limit, value=value)
