"""Reading a roster: a table as spreadsheets write it, every wrong line named."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from api.problems import InvalidRequest, shortened
from api.rendering import invalid_fields
from gpulab.schemas import InvalidField
from gpulab.schemas.base import Line
from gpulab.schemas.people import Email, Group
from gpulab.schemas.roster import MAX_ROSTER_ROWS

NEEDED = ("name", "email")
OPTIONAL = ("section", "team")
MOST_ERRORS = 100
MAX_LINES = 2 * MAX_ROSTER_ROWS
"""Empty ones included."""
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@")


class _Person(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Line
    email: Email
    section: Group | None = None
    team: Group | None = None


@dataclass(frozen=True, slots=True)
class RosterLine:
    """A person of the table; `given` are the columns that it has."""

    line: int
    name: str
    email: str
    section: str | None
    team: str | None
    given: frozenset[str]


def read(text: str) -> list[RosterLine]:
    """The people of a table. Raises `InvalidRequest`, which names every wrong line and field."""
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    if text.count("\n") > MAX_LINES:
        raise refuse([InvalidField(path="csv", message="too many lines", limit={"max": MAX_LINES})])
    heading = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text, newline=""), delimiter=";" if heading.count(";") > heading.count(",") else ",")
    numbered = _rows(table)
    _, columns = next(numbered, (1, []))
    names = [column.strip().lower() for column in columns]
    _check_heading(names)
    found: list[RosterLine] = []
    errors: list[InvalidField] = []
    for line, cells in numbered:
        if not any(cell.strip() for cell in cells):
            continue
        if len(found) + len(errors) >= MAX_ROSTER_ROWS:
            raise refuse([InvalidField(path=f"csv.{line}", message="too many lines", limit={"max": MAX_ROSTER_ROWS})])
        try:
            found.append(_line(line, names, cells))
        except InvalidRequest as wrong:
            errors += wrong.errors
    errors += _repeated(found)
    if errors:
        raise refuse(sorted(errors, key=lambda error: int(error.path.split(".")[1])))
    if not found:
        raise refuse([InvalidField(path="csv", message="the table has no person")])
    return found


def refuse(errors: list[InvalidField]) -> InvalidRequest:
    """What is wrong, the first hundred of it."""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InvalidRequest(f"{errors[0].path}: {errors[0].message}{more}", errors=errors[:MOST_ERRORS])


def _rows(table: Any) -> Iterator[tuple[int, list[str]]]:
    try:
        start = 1
        for cells in table:
            yield start, cells
            start = table.line_num + 1
    except csv.Error as error:
        raise refuse([InvalidField(path=f"csv.{table.line_num}", message=f"not a table: {error}")]) from None


def _check_heading(names: list[str]) -> None:
    limit = {"enum": [*NEEDED, *OPTIONAL]}
    wrong = [
        InvalidField(path="csv.1", message="unknown column", limit=limit, value=shortened(name))
        for name in names
        if name not in (*NEEDED, *OPTIONAL)
    ]
    wrong += [
        InvalidField(path="csv.1", message="column appears twice", value=name)
        for name in (*NEEDED, *OPTIONAL)
        if names.count(name) > 1
    ]
    wrong += [
        InvalidField(path="csv.1", message=f"the heading has no column {name!r}", limit=limit)
        for name in NEEDED
        if name not in names
    ]
    if wrong:
        raise refuse(wrong)


def _line(line: int, names: list[str], cells: list[str]) -> RosterLine:
    if len(cells) != len(names):
        limit = {"cells": len(names)}
        raise refuse(
            [InvalidField(path=f"csv.{line}", message="too few or too many cells", limit=limit, value=len(cells))]
        )
    values = {name: cell.strip() or None for name, cell in zip(names, cells, strict=True)}
    try:
        person = _Person.model_validate({name: value for name, value in values.items() if name in NEEDED or value})
    except ValidationError as error:
        raise refuse(invalid_fields(error.errors(), ("csv", str(line)))) from None
    for name in names:
        if str(getattr(person, name) or "").startswith(RUN_BY_SPREADSHEETS):
            message = "may not begin as a formula of a spreadsheet does"
            raise refuse([InvalidField(path=f"csv.{line}.{name}", message=message, value=values[name])])
    return RosterLine(line, person.name, person.email, person.section, person.team, frozenset(names))


def _repeated(lines: list[RosterLine]) -> Iterator[InvalidField]:
    for field in NEEDED:
        first: dict[str, int] = {}
        for person in lines:
            value = getattr(person, field)
            if value in first:
                message = f"line {first[value]} has it too"
                yield InvalidField(path=f"csv.{person.line}.{field}", message=message, value=shortened(value))
            first.setdefault(value, person.line)
