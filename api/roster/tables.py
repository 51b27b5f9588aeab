"""Reading a roster: a table as spreadsheets and courses' platforms write it, every wrong line named."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from api.http.problems import InvalidRequest, shortened
from api.http.rendering import invalid_fields
from api.roster import column_names
from api.roster.column_names import Columns
from gpulab.csv_text import SIGNS_OF_FORMULAS
from gpulab.schemas import InvalidField
from gpulab.schemas.base import Line
from gpulab.schemas.roster import MAX_ROSTER_ROWS
from gpulab.schemas.users import Email, Group
from gpulab.words import counted

MAX_LINES = 2 * MAX_ROSTER_ROWS
"""Empty ones included."""
MAX_NAMED = 20
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r"\ufeff?[\"']?sep=(.)[\"']?[,;\t]*(\r\n|\n|\r|$)", re.IGNORECASE)
FAILED_CELL = re.compile(r"#(N/A|NV|[¡¿]?(DIV/0|[A-ZÀ-Þ]{3,12})[!?])")
"""What spreadsheets write where a formula failed: `#REF!`, `#BEZUG!`, `#NAME?`."""
SEVERAL = re.compile(r",| and ")
"""Between the sections of one student."""
CANVAS_ROWS = frozenset({"points possible", "manual posting", "student, test", "test student"})
"""Lines of Canvas' gradebook that are not users."""
STUDENTS = frozenset(
    {"", "student", "students", "learner", "studentenrollment", "teilnehmer/in", "teilnehmer", "studierende/r"}
    | {"étudiant", "estudiante", "studente"}
)
"""Roles of a learning platform that a roster admits."""


class _User(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Line
    email: Email
    section: Group | None = None
    team: Group | None = None


@dataclass(frozen=True, slots=True)
class RosterLine:
    """A user of the table; `given` are the fields that it speaks of."""

    line: int
    name: str
    email: str
    section: str | None
    team: str | None
    given: frozenset[str]


@dataclass(frozen=True, slots=True)
class Roster:
    lines: list[RosterLine]
    notices: list[str]
    """What was passed over, for the user who imports it."""


@dataclass(slots=True)
class _Passed:
    """What was passed over on the way."""

    nobody: list[str] = field(default_factory=list)
    named_by_login: list[str] = field(default_factory=list)

    def over(self, line: int, columns: Columns, cells: Sequence[str]) -> bool:
        """Whether the line is no student of the class."""
        student, role = columns.value(cells, "student"), columns.value(cells, "role")
        if student.casefold() in CANVAS_ROWS:
            self.nobody.append(f"{student} (line {line})")
        elif "student" in columns.at and not (student or columns.value(cells, "email")):
            self.nobody.append(f"line {line}")
        elif role.casefold() not in STUDENTS:
            self.nobody.append(f"{columns.value(cells, 'email')} ({role}, line {line})")
        else:
            return False
        return True

    def notices(self, columns: Columns) -> Iterator[str]:
        if columns.ignored:
            hint = "" if "section" in columns.at else " If one of them has the sections, call it section."
            yield f"Ignored {counted(len(columns.ignored), 'column')}: {some(columns.ignored)}.{hint}"
        if self.nobody:
            yield f"Skipped {counted(len(self.nobody), 'line')} not of a student: {some(self.nobody)}."
        if self.named_by_login:
            yield f"Without a name, so the name at GitHub is used: {some(self.named_by_login)}."


def read(text: str) -> Roster:
    """The users of a table. Raises `InvalidRequest`, which names every wrong line and field."""
    if max(text.count("\n"), text.count("\r")) > MAX_LINES:
        raise InvalidRequest.of("csv", "too many lines", limit={"max": MAX_LINES})
    numbered = ((line, cells) for line, cells in numbered_rows(text) if any(cell.strip() for cell in cells))
    line, headings = next(numbered, (1, []))
    columns, errors = column_names.read(line, headings)
    if errors:
        raise InvalidRequest.of_fields(errors)
    found: list[RosterLine] = []
    passed = _Passed()
    for line, cells in numbered:
        if len(found) + len(errors) >= MAX_ROSTER_ROWS:
            raise InvalidRequest.of(f"csv.{line}", "too many lines", limit={"max": MAX_ROSTER_ROWS})
        if passed.over(line, columns, cells):
            continue
        try:
            found.append(_line(line, columns, cells, passed))
        except InvalidRequest as wrong:
            errors += wrong.errors
    errors += _repeated(found)
    if errors:
        raise InvalidRequest.of_fields(sorted(errors, key=lambda error: int(error.path.split(".")[1])))
    if not found:
        skipped = f"; lines not of a student: {some(passed.nobody)}" if passed.nobody else ""
        raise InvalidRequest.of("csv", f"the table has no user{skipped}")
    return Roster(found, [*passed.notices(columns), *_of_several_sections(found)])


def _of_several_sections(lines: list[RosterLine]) -> Iterator[str]:
    """Canvas writes `A and Lab` for a student of two sections."""
    sections = {line.section for line in lines if line.section}
    joint = sorted(name for name in sections if sections & {part.strip() for part in SEVERAL.split(name)} - {name})
    if joint:
        yield f"Taken as sections of their own: {some(joint)}. To put students into one of theirs, name only that one."


def numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The first line and the cells of each row."""
    told = SEPARATOR_LINE.match(text)
    body = text[told.end() :] if told else text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    skipped = 1 if told else 0
    table = csv.reader(io.StringIO(body, newline=""), delimiter=told.group(1) if told else _delimiter(body))
    start = 1
    try:
        for cells in table:
            is_last = table.line_num >= max(body.rstrip().count("\n"), body.rstrip().count("\r"))
            if is_last and table.line_num > start and body.count('"') % 2:
                message = "a quotation mark opens in this line and is never closed; remove it, or close it"
                raise InvalidRequest.of(f"csv.{start + skipped}", message)
            yield start + skipped, cells
            start = table.line_num + 1
    except csv.Error as error:
        line = table.line_num + skipped
        raise InvalidRequest.of(f"csv.{line}", f"not a table: {error}") from None


def _delimiter(text: str) -> str:
    """What stands most often in the heading, outside of quotes."""
    heading = re.sub(r'"[^"]*"', "", text.lstrip()).splitlines()[:1]
    return max(DELIMITERS, key=heading[0].count) if heading else ","


def _line(line: int, columns: Columns, cells: Sequence[str], passed: _Passed) -> RosterLine:
    if any(cell.strip() for cell in cells[len(columns.headings) :]):
        message = f"the line has {len(cells)} cells; put quotes around a cell that contains a comma"
        limit = {"cells": len(columns.headings)}
        raise InvalidRequest.of(f"csv.{line}", message, limit=limit, value=len(cells))
    values: dict[str, Any] = {name: columns.value(cells, name) or None for name in ("email", "section", "team")}
    values["name"] = _name(columns, cells, passed)
    for column, value in values.items():
        if value is not None and FAILED_CELL.fullmatch(value):
            raise InvalidRequest.of(f"csv.{line}.{column}", "is an error of a formula in the spreadsheet", value=value)
    try:
        user = _User.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise InvalidRequest.of_fields(
            [_mended(columns, wrong) for wrong in invalid_fields(error.errors(), ("csv", str(line)))]
        ) from None
    if user.name.startswith(SIGNS_OF_FORMULAS):
        message = "must not begin like a formula of a spreadsheet"
        raise InvalidRequest.of(f"csv.{line}.name", message, value=shortened(user.name))
    return RosterLine(line, user.name, user.email, user.section, user.team, columns.given)


def _name(columns: Columns, cells: Sequence[str], passed: _Passed) -> str | None:
    whole, first = columns.value(cells, "name"), columns.value(cells, "first")
    if whole and first and "last" not in columns.at and first not in whole.split(" "):
        whole = f"{first} {whole}"  # a German table calls the last name `Name`
    whole = whole or _turned(columns.value(cells, "student")) or f"{first} {columns.value(cells, 'last')}".strip()
    login = columns.value(cells, "login")
    if not whole and login:
        passed.named_by_login.append(login)
    return whole or login or None


def _turned(name: str) -> str:
    """`Lovelace, Ada` as it is spoken."""
    last, *rest = (part.strip() for part in name.split(","))
    return ", ".join([f"{rest[0]} {last}".strip(), *rest[1:]]) if rest else last


def _mended(columns: Columns, wrong: InvalidField) -> InvalidField:
    """The error with the table's own word for the column, and what to do."""
    name = wrong.path.rpartition(".")[2]
    heading = columns.heading(name)
    message = wrong.message
    if message.lower().startswith("field required"):
        message = f"is empty; give every line {'an address' if name == 'email' else 'a ' + name}"
    elif name == "email" and wrong.limit and "pattern" in wrong.limit:
        message = "is not an e-mail address"
        if column_names.key_of(heading) in column_names.LOGINS:
            message += "; add a column “Email” with the addresses"
    if "REPLACEMENT CHARACTER" in message:
        message += ": the table was read with a wrong encoding; save it as “CSV UTF-8”"
    shown = message if heading.casefold() == name else f"column “{heading}”: {message}"
    return wrong.model_copy(update={"message": shown})


def _repeated(lines: list[RosterLine]) -> Iterator[InvalidField]:
    """Addresses that occur twice; they distinguish users with the same name."""
    first: dict[str, int] = {}
    for user in lines:
        if user.email in first:
            message = f"line {first[user.email]} has it too; remove one of the two lines"
            yield InvalidField(path=f"csv.{user.line}.email", message=message, value=shortened(user.email))
        first.setdefault(user.email, user.line)


def some(words: Sequence[str]) -> str:
    more = f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else ""
    return ", ".join(str(shortened(word, limit=60)) for word in words[:MAX_NAMED]) + more
