"""Reading a table of corrections: whose grade, and the points or the comment. Every wrong line is named. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.http.problems import InvalidRequest, shortened
from api.roster.column_names import FIELDS, key_of
from api.roster.tables import numbered_rows, some
from gpulab.csv_text import SIGNS_OF_FORMULAS
from gpulab.names import address_form, composed
from gpulab.schemas import InvalidField
from gpulab.schemas.assignments.grades import MAX_COMMENT_LENGTH, MAX_POINTS, GradeRead, GradeRow
from gpulab.words import counted

MAX_ROWS = 5000
HEADINGS: Mapping[str, Sequence[str]] = {
    "email": FIELDS["email"],
    "name": FIELDS["name"],
    "points": ("points", "punkte"),
    "comment": ("comment", "feedback", "kommentar"),
}
USABLE = "use email or name, and points or comment"
DECIMAL = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
THOUSANDS = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}")
"""In English 1,000 is a thousand, in German it is one."""
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Correction:
    line: int
    grade: GradeRead
    """As it was before."""
    points: float | None
    comment: str | None

    @property
    def changes(self) -> bool:
        return (self.points, self.comment) != (self.grade.points, self.grade.comment)

    def row(self) -> GradeRow:
        return GradeRow(
            line=self.line,
            user_id=self.grade.user_id,
            user=self.grade.user,
            email=self.grade.email,
            action="change" if self.changes else "keep",
            points_before=self.grade.points,
            points_after=self.points,
            comment_before=self.grade.comment,
            comment_after=self.comment,
        )


@dataclass(frozen=True, slots=True)
class Corrections:
    lines: list[Correction]
    notices: list[str]


class _Wrong(Exception):  # noqa: N818 - becomes an `InvalidField`
    def __init__(self, field: str, message: str, value: object, limit: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.field, self.message, self.value, self.limit = field, message, value, limit


def read(text: str, grades: Sequence[GradeRead], max_points: float | None) -> Corrections:
    """What the table changes of `grades`, the whole class. Raises `InvalidRequest` with every wrong line and field."""
    numbered = ((line, cells) for line, cells in numbered_rows(text) if any(cell.strip() for cell in cells))
    line, headings = next(numbered, (1, []))
    at, ignored = _columns(line, headings)
    by_email, by_name = _known(grades)
    found: list[Correction] = []
    errors: list[InvalidField] = []
    for line, cells in numbered:
        if len(found) + len(errors) >= MAX_ROWS:
            raise InvalidRequest.of(f"csv.{line}", "too many lines", limit={"max": MAX_ROWS})
        values = {name: _cell(cells, place) for name, place in at.items()}
        try:
            _check_width(cells, len(headings))
            who = _who(values, by_email, by_name)
            found.append(Correction(line, who, _points(values, who, max_points), _comment(values, who)))
        except _Wrong as wrong:
            errors.append(_named(line, wrong))
    errors += _repeated(found)
    if errors:
        raise InvalidRequest.of_fields(sorted(errors, key=lambda error: int(error.path.split(".")[1])))
    if not found:
        raise InvalidRequest.of("csv", "the table has no line after the heading")
    return Corrections(found, list(_notices(ignored, found)))


def _columns(line: int, headings: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """The place of each field, and the headings that nobody reads."""
    keys = [key_of(heading) for heading in headings]
    named = {field: next((name for name in names if name in keys), None) for field, names in HEADINGS.items()}
    at = {field: keys.index(name) for field, name in named.items() if name is not None}
    for place in at.values():
        if keys.count(keys[place]) > 1:
            message = "this column appears twice; remove one of them"
            raise InvalidRequest.of(f"csv.{line}", message, value=headings[place].strip())
    if not ({"email", "name"} & at.keys() and {"points", "comment"} & at.keys()):
        has = ", ".join(heading.strip() for heading in headings if heading.strip())
        message = (
            f"the heading needs a column for the student and one for the change (it has: {shortened(has)}); {USABLE}"
        )
        raise InvalidRequest.of(f"csv.{line}", message, limit={"enum": list(HEADINGS)})
    ignored = [one.strip() for place, one in enumerate(headings) if place not in at.values() and one.strip()]
    return at, ignored


def _check_width(cells: Sequence[str], width: int) -> None:
    """A comma that is not quoted, such as that of `7,5`, would cut a value off."""
    if any(cell.strip() for cell in cells[width:]):
        message = f"the line has {len(cells)} cells; put a cell that has a comma in it in quotes"
        raise _Wrong("", message, len(cells), {"cells": width})


def _cell(cells: Sequence[str], place: int) -> str:
    """Without the apostrophe that keeps a spreadsheet from running it."""
    text = cells[place].strip() if place < len(cells) else ""
    return text[1:] if text.startswith("'") and text[1:].startswith(SIGNS_OF_FORMULAS) else text


def _known(grades: Sequence[GradeRead]) -> tuple[dict[str, GradeRead], dict[str, list[GradeRead]]]:
    by_name: dict[str, list[GradeRead]] = defaultdict(list)
    for one in grades:
        by_name[one.user.casefold()].append(one)
    return {one.email: one for one in grades if one.email is not None}, by_name


def _who(
    values: Mapping[str, str], by_email: Mapping[str, GradeRead], by_name: Mapping[str, list[GradeRead]]
) -> GradeRead:
    if email := values.get("email"):
        if (one := by_email.get(address_form(email))) is None:
            raise _Wrong("email", "no student of the class has this address", email)
        return one
    name = " ".join(composed(values.get("name", "")).split())
    if not name:
        raise _Wrong("email" if "email" in values else "name", "is empty; name the student", "")
    found = by_name.get(name.casefold(), [])
    if len(found) > 1:
        shown = ", ".join(one.email or str(one.user_id) for one in found)
        raise _Wrong("name", f"{len(found)} students have this name; add a column email: {shown}", name)
    if not found:
        raise _Wrong("name", "no student of the class has this name", name)
    return found[0]


def _points(values: Mapping[str, str], who: GradeRead, max_points: float | None) -> float | None:
    text = values.get("points", "")
    if not text:
        return who.points
    if DECIMAL.fullmatch(text) is None:
        raise _Wrong("points", "is not a number", text)
    points, most = float(text.replace(",", ".")), MAX_POINTS if max_points is None else max_points
    if not 0 <= points <= most:
        raise _Wrong("points", f"must be between 0 and {most:g}", text, {"ge": 0, "le": most})
    if THOUSANDS.fullmatch(text) and (larger := float(text.replace(",", ""))) <= most:
        raise _Wrong("points", f"can be read as {points:g} or as {larger:g}; write {points:g} or {larger:.0f}", text)
    return abs(points)


def _comment(values: Mapping[str, str], who: GradeRead) -> str | None:
    text = values.get("comment", "")
    if len(text) > MAX_COMMENT_LENGTH:
        raise _Wrong("comment", "is too long", len(text), {"max_length": MAX_COMMENT_LENGTH})
    return who.comment if not text else None if text == NOTHING else text


def _named(line: int, wrong: _Wrong) -> InvalidField:
    path = f"csv.{line}.{wrong.field}".rstrip(".")
    return InvalidField(path=path, message=wrong.message, limit=wrong.limit, value=shortened(wrong.value))


def _repeated(lines: Sequence[Correction]) -> Iterator[InvalidField]:
    first: dict[object, int] = {}
    for one in lines:
        who = one.grade.user_id
        if who in first:
            message = f"line {first[who]} is for this student too; remove one of the two lines"
            yield InvalidField(path=f"csv.{one.line}", message=message, value=shortened(one.grade.user))
        first.setdefault(who, one.line)


def _notices(ignored: Sequence[str], found: Sequence[Correction]) -> Iterator[str]:
    if ignored:
        yield f"Ignored {counted(len(ignored), 'column')}: {some(ignored)}."
    nothing = [one.grade.user for one in found if one.changes and one.grade.job_id is None]
    if nothing:
        yield f"Without a submission: {some(nothing)}."
    lines = [one.grade.user for one in found if one.points != one.grade.points and one.grade.rubric]
    if lines:
        yield f"Their rubric lines are removed, because the points are no longer the sum: {some(lines)}."
