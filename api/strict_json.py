"""JSON as this API accepts it: UTF-8, no NaN or Infinity, no repeated keys, nothing PostgreSQL cannot store."""

import json
import math
from typing import Any, NoReturn

from api.problems import InvalidRequest, MalformedBody, shortened
from gpulab.schemas import InvalidField

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1


def loads(body: bytes) -> Any:
    """The value of `body`. Raises `MalformedBody` where it is no JSON of ours, `InvalidRequest` for a bad value."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise MalformedBody(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        raise MalformedBody("the body holds an integer of thousands of digits") from None
    _check(value, [])
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedBody(f"the key {shortened(twice)!r} appears twice in one object")
    return made


def _constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not JSON; numbers must be finite")


def _check(value: Any, path: list[str]) -> None:
    if len(path) > MAX_DEPTH:
        raise MalformedBody(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case str():
            _check_text(value, path)
        case float() if not math.isfinite(value):
            _refuse(path, "the number is too large", {"finite": True}, None)
        case int() if abs(value) > MAX_INTEGER:
            _refuse(path, "the integer is too large", {"le": MAX_INTEGER, "ge": -MAX_INTEGER}, value)
        case dict():
            for key, child in value.items():
                _check_text(key, [*path, key])
                _check(child, [*path, key])
        case list():
            for index, child in enumerate(value):
                _check(child, [*path, str(index)])


def _check_text(text: str, path: list[str]) -> None:
    if "\0" in text:
        _refuse(path, "the character U+0000 cannot be stored", None, text.replace("\0", "\\u0000"))
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(path, "half of a surrogate pair is no character", None, None)


def _refuse(path: list[str], message: str, limit: dict[str, Any] | None, value: object) -> NoReturn:
    where = ".".join(path).replace("\0", "\\u0000").encode("ascii", "backslashreplace").decode() or "body"
    field = InvalidField(path=where[:300], message=message, limit=limit, value=shortened(value))
    raise InvalidRequest(f"{field.path}: {message}", errors=[field])
