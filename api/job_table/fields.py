"""The columns, orders and conditions that a client writes. Pure: nothing here knows SQL."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from api.answers.rules import is_answer
from api.http.problems import InvalidRequest

JOB_FIELDS = (
    "name",
    "note",
    "experiment",
    "owner",
    "state",
    "cause",
    "seed",
    "priority",
    "node",
    "device",
    "attempt",
    "submitted_at",
    "started_at",
    "finished_at",
    "changed_at",
    "seconds",
)
"""Columns of the job itself; `seconds` is how long its latest attempt ran."""
NESTED = ("spec", "result")
METRIC = "metric"
ROOTS = f"{', '.join(JOB_FIELDS)}, spec.FIELD, result.FIELD, metric.NAME"
CURVE = "curve"
AGGREGATES = ("last", "min", "max", CURVE)
MAX_PARTS = 16
MAX_CHARACTERS = 300
PART = re.compile(r'"((?:[^"\\]|\\["\\])+)"|([^."\\\s=!<>~]+)')
"""One part of a path: plain, or in quotes where it has a dot or a blank."""
PLAIN = re.compile(r"[^.\"\\\s=!<>~]+")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
OPERATOR = re.compile(r"\s*([=!<>~]+)\s*")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
ORDERED = ("<", "<=", ">", ">=")
DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class Field:
    """One column."""

    text: str
    """As the client wrote it."""
    root: str
    """`spec`, `result`, `metric`, or the job's own field."""
    parts: tuple[str, ...] = ()
    aggregate: str = "last"
    """Of a metric."""

    @property
    def is_answer(self) -> bool:
        """Whether it may tell a student if their own answers are right."""
        return self.root not in JOB_FIELDS and any(is_answer(part) or part == DESCRIPTION for part in self.parts)


@dataclass(frozen=True, slots=True)
class Order:
    field: Field
    descending: bool


@dataclass(frozen=True, slots=True)
class Condition:
    field: Field
    operator: str
    value: str | int | float | bool | None


def fields(texts: Sequence[str], path: str) -> list[Field]:
    """Raises `InvalidRequest`, as all below."""
    return [field(text, f"{path}.{at}") for at, text in enumerate(texts)]


def field(text: str, path: str) -> Field:
    found, end = _leading_field(text, path)
    if end != len(text):
        _refuse(path, text, f"is not a column after character {end}", {"columns": ROOTS})
    return found


def singles(texts: Sequence[str], path: str) -> list[Field]:
    """Columns that have one value for a job."""
    found = fields(texts, path)
    for at, one in enumerate(found):
        _check_single(one, f"{path}.{at}")
    return found


def orders(texts: Sequence[str]) -> list[Order]:
    """`result.accuracy` sorts upwards, `-result.accuracy` downwards."""
    found = []
    for at, text in enumerate(texts):
        path = f"query.sort.{at}"
        one = field(text.removeprefix("-"), path)
        _check_single(one, path)
        found.append(Order(one, descending=text.startswith("-")))
    return found


def conditions(texts: Sequence[str]) -> list[Condition]:
    """`spec.lr>=0.01`, `result.verdict=true`, `spec.model~resnet`, `result.loss=null`."""
    return [_condition(text, f"query.where.{at}") for at, text in enumerate(texts)]


def _condition(text: str, path: str) -> Condition:
    found, end = _leading_field(text, path)
    operator = OPERATOR.match(text, end)
    if operator is None:
        _refuse(path, text, "needs an operator after the column", {"operators": " ".join(OPERATORS)})
    sign = operator[1]
    if sign not in OPERATORS:
        known = " ".join(OPERATORS)
        _refuse(path, sign, f"{sign} is not a known operator; use one of {known}", {"operators": known})
    _check_single(found, path)
    value = _value(text[operator.end() :].strip())
    if isinstance(value, str) and not is_storable(value):
        _refuse(path, text, "has a character that cannot be stored", None)
    if sign in ORDERED and (value is None or isinstance(value, bool)):
        _refuse(path, text, f"{sign} needs a number or a text", {"operators": "= !="})
    if sign == "~":
        value = text[operator.end() :].strip()
        if not value:
            _refuse(path, text, "~ needs a text to search for", None)
    return Condition(found, sign, value)


def _value(text: str) -> str | int | float | bool | None:
    """A JSON scalar; anything else is text as it stands."""
    try:
        found: Any = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    # A float that JSON cannot hold is looked for as text, and found nowhere.
    if isinstance(found, list | dict) or found in (float("inf"), float("-inf")):
        return text
    scalar: str | int | float | bool | None = found
    return scalar


def _check_single(found: Field, path: str) -> None:
    if found.root == METRIC and found.aggregate == CURVE:
        _refuse(path, found.text, "a curve has many values", {"aggregates": "last min max"})


def _leading_field(text: str, path: str) -> tuple[Field, int]:
    """The field at the beginning of the text, and where it ends."""
    if len(text) > MAX_CHARACTERS:
        _refuse(path, text, f"is longer than {MAX_CHARACTERS} characters", {"max_length": MAX_CHARACTERS})
    parts, end = _parts(text)
    if not parts or not all(map(is_storable, parts)):
        _refuse(path, text, "is not a column", {"columns": ROOTS})
    name, root, below = text[:end], parts[0], tuple(parts[1:])
    if len(below) > MAX_PARTS:
        _refuse(path, name, f"has more than {MAX_PARTS} parts", {"max_parts": MAX_PARTS})
    if root in JOB_FIELDS and not below:
        return Field(name, root), end
    if root in NESTED and below:
        return Field(name, root, below), end
    if root == METRIC and below:
        return _metric(name, below), end
    return _refuse(path, name, "is not a column", {"columns": ROOTS})


def _metric(name: str, below: tuple[str, ...]) -> Field:
    aggregate = below[-1] if len(below) > 1 and below[-1] in AGGREGATES else None
    named = below if aggregate is None else below[:-1]
    return Field(name, METRIC, (".".join(named),), aggregate or "last")


def _parts(text: str) -> tuple[list[str], int]:
    parts: list[str] = []
    end = 0
    while part := PART.match(text, end + 1 if parts else 0):
        parts.append(part[2] or re.sub(r"\\(.)", r"\1", part[1]))
        end = part.end()
        if text[end : end + 1] != ".":
            break
    return parts, end


def is_number(text: str) -> bool:
    """Whether the database reads it as a number."""
    return NUMBER.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _refuse(path: str, value: str, message: str, limit: dict[str, Any] | None) -> NoReturn:
    raise InvalidRequest.of(path, message, limit=limit, value=value)
