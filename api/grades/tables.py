"""The class as a table of grades: the lab's own, and those that Canvas, Moodle and Gradescope have. Pure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from gpulab.csv_text import csv_text
from gpulab.schemas.assignments.grades import GradeColumns, GradeRead
from gpulab.words import counted

COLUMNS = (
    *("name", "email", "section", "team", "handed_in_at_utc", "late", "days_late", "deduction"),
    *("points", "source", "final_points", "max_points", "comment", "rubric", "check", "check_words", "rerun", "job_id"),
)
Table = Iterator[Sequence[object]]


def written(columns: GradeColumns, assignment: str, max_points: float | None, grades: Sequence[GradeRead]) -> bytes:
    """As CSV that a spreadsheet opens without running anything in it."""
    rows = [[_plain(cell) for cell in row] for row in TABLES[columns](assignment, max_points, grades)]
    return csv_text(rows).encode()


def _lab(_: str, __: float | None, grades: Sequence[GradeRead]) -> Table:
    yield COLUMNS
    for one in grades:
        said = {source.source: source for source in one.sources}
        check, rerun = said.get("check"), said.get("rerun")
        handed_in = one.pinned_at is not None
        yield (
            *(one.user, one.email, one.section, one.team, _time(one.pinned_at)),
            *(("yes" if one.days_late else "no", one.days_late) if handed_in else (None, None)),
            f"{one.deduction:g} {one.deduction_unit}" if one.deduction else None,
            *(one.points, one.source, one.final_points, one.max_points, one.comment, _rubric(one)),
            *(check and check.state, check and check.comment, rerun and rerun.state, one.job_id),
        )


def _canvas(assignment: str, max_points: float | None, grades: Sequence[GradeRead]) -> Table:
    """Canvas' gradebook. It finds students by their login, here the e-mail address, and leaves empty cells alone."""
    yield ("Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment)
    yield ("    Points Possible", None, None, None, None, max_points)
    for one in grades:
        yield (_last_first(one.user), None, None, one.email, one.section, one.final_points)


def _moodle(_: str, __: float | None, grades: Sequence[GradeRead]) -> Table:
    """For Moodle's import of grades, where its user maps the columns; `Email address` says who it is."""
    yield ("Full name", "ID number", "Email address", "Grade", "Feedback")
    for one in grades:
        yield (one.user, None, one.email, one.final_points, feedback(one))


def _gradescope(_: str, max_points: float | None, grades: Sequence[GradeRead]) -> Table:
    """As Gradescope's own table of an assignment."""
    yield (
        *("First Name", "Last Name", "SID", "Email", "Sections", "Total Score", "Max Points", "Status"),
        *("Submission ID", "Submission Time", "Lateness (H:M:S)"),
    )
    for one in grades:
        first, last = _split(one.user)
        handed_in = one.pinned_at is not None
        status = "Graded" if one.final_points is not None else "Ungraded" if handed_in else "Missing"
        yield (
            *(first, last, None, one.email, one.section, one.final_points, max_points, status),
            *(one.job_id, _time(one.pinned_at, " +0000"), _late_by(one)),
        )


TABLES: dict[GradeColumns, Callable[[str, float | None, Sequence[GradeRead]], Table]] = {
    "lab": _lab,
    "canvas": _canvas,
    "moodle": _moodle,
    "gradescope": _gradescope,
}


def feedback(one: GradeRead) -> str | None:
    """What a student is told in words: the comment, the rubric, and what the late days cost."""
    said = [one.comment, _rubric(one)]
    if one.deduction and one.points is not None:
        cost, days = f"{one.deduction:g} {one.deduction_unit} deducted", counted(one.days_late, "late day")
        said.append(f"{one.points:g} points, {cost} for {days}")
    return "; ".join(part for part in said if part) or None


def _rubric(one: GradeRead) -> str | None:
    return "; ".join(f"{line.text}: {line.points:g}" for line in one.rubric) or None


def _last_first(name: str) -> str:
    """`Lovelace, Ada`; `Jr` and the like stay at the end."""
    head, *more = (part.strip() for part in name.split(","))
    first, last = _split(head)
    return ", ".join(part for part in (last, first, *more) if part)


def _split(name: str) -> tuple[str, str]:
    """First names and the last name. Only a guess: platforms find students by their address."""
    head, comma, more = name.partition(",")
    first, _, last = head.strip().rpartition(" ")
    return first, f"{last}{comma}{more}"


def _time(at: datetime | None, zone: str = "") -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S}{zone}"


def _late_by(one: GradeRead) -> str | None:
    if one.pinned_at is None:
        return None
    minutes, seconds = divmod(max(0, int((one.pinned_at - one.due_at).total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def _plain(cell: object) -> object:
    """`7` for 7.0, and nothing for None."""
    return "" if cell is None else f"{cell:.10g}" if isinstance(cell, float) else cell
