"""`gpulab assignments grade`, `grades`, `import-grades`, `release` and `rerun`: what submissions are worth."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.jobs.watch import follow_to_end
from gpulab.cli.session import Session, print_json
from gpulab.cli.session import session_command as command
from gpulab.cli.users.assignments import MAX_NAMED, AssignmentName, find_assignment, grade_facts
from gpulab.cli.users.grading import app
from gpulab.cli.users.naming import User, find_user
from gpulab.cli.users.setting import number
from gpulab.states import STATE_WORDS
from gpulab.words import counted

if TYPE_CHECKING:
    from uuid import UUID

    from gpulab.schemas.assignments.grades import GradeChangeRead, GradeDetail, GradeRead, GradesImported, RerunsRead

__all__ = ["app"]

MAX_CHANGES_SHOWN = 40
POLL_SECONDS = 2.0
TABLES = ("lab", "canvas", "moodle", "gradescope")


@command(app)
def grade(
    session: Session,
    assignment: AssignmentName,
    user: User,
    points: Annotated[str | None, typer.Option(help="Points before the late deduction.")] = None,
    comment: Annotated[str | None, typer.Option(help="For the student.")] = None,
    line: Annotated[
        list[str] | None, typer.Option(help="A rubric line, such as 'Plots=3' or 'Late answer=-1'; repeatable.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the manual grade.")] = False,
) -> None:
    """Grade a student by hand, or show the grade and what each source says. For staff."""
    given = points is not None or comment is not None or bool(line)
    if remove and given:
        raise BadInput("--remove removes the manual grade; leave out --points, --comment and --line")
    homework, student = find_assignment(session, assignment).id, find_user(session, user).id
    calls = session.client.users
    if remove:
        calls.remove_grade(homework, student)
    elif given:
        value = None if points is None else number("points", points)
        calls.give_grade(homework, student, points=value, comment=comment, rubric=_rubric(line or []))
    _show(session, calls.grade(homework, student))


@command(app)
def grades(
    session: Session,
    assignment: AssignmentName,
    columns: Annotated[str, typer.Option(help=f"Columns of this platform: {', '.join(TABLES)}.")] = "lab",
    out: Annotated[Path | None, typer.Option(help="New file for the table. Default: print it.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="With --out: replace a file that exists.")] = False,
) -> None:
    """Get the grade table as CSV, also for Canvas, Moodle or Gradescope; --json has the sources. For staff."""
    if columns not in TABLES:
        raise BadInput(f"there is no table for {columns!r}; use {', '.join(TABLES)}")
    if out is not None and out.exists() and not overwrite:
        raise BadInput(f"{out} exists; name another file, or replace it with --overwrite")
    found = find_assignment(session, assignment)
    if session.as_json:
        print_json(session.client.users.grades(found.id))
        return
    text = session.client.users.grade_table(found.id, columns)
    if out is None:
        print(text.removeprefix("\ufeff"), end="")
    else:
        out.write_text(text, encoding="utf-8", newline="")
        print(out)


@command(app)
def import_grades(
    session: Session,
    assignment: AssignmentName,
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="Columns email or name, and points or comment.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, without changing it.")] = False,
) -> None:
    """Correct grades by a table. If a line is wrong, nothing changes. For staff."""
    content = table.read_bytes()
    found = find_assignment(session, assignment)
    _print_import(session, session.client.users.import_grades(found.id, content, dry_run=dry_run))


@command(app)
def release(
    session: Session,
    assignment: AssignmentName,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Hide them again.")] = False,
) -> None:
    """Let students see their grades and what the check says. For staff."""
    found = find_assignment(session, assignment)
    changed = session.client.users.change_assignment(found.id, points_released=not withdraw)
    if session.as_json:
        print_json(changed)
        return
    print(f"{changed.name}  grades are {'hidden' if withdraw else 'released'}")
    if not withdraw:
        _print_released(list(session.client.users.grades(found.id)))


def _print_released(grades: "list[GradeRead]") -> None:
    """How many students see points, and who handed in and has none."""
    from gpulab.cli.tables import printable

    without = [one for one in grades if one.final_points is None]
    forgotten = [one.user for one in without if one.job_id is not None]
    print(f"{counted(len(grades) - len(without), 'student')} of {len(grades):,} with points")
    if forgotten:
        more = f" and {len(forgotten) - MAX_NAMED:,} more" if len(forgotten) > MAX_NAMED else ""
        print(f"{len(forgotten):,} handed in, without points: {printable(', '.join(forgotten[:MAX_NAMED]))}{more}")
    if nothing := len(without) - len(forgotten):
        print(f"{nothing:,} handed in nothing")


@command(app)
def rerun(
    session: Session,
    assignment: AssignmentName,
    user: Annotated[str | None, typer.Argument(metavar="[PERSON]", help="Name, email address or id.")] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="All submissions that were not run again, or that failed when run again.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --all: also those that have a re-run.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every re-run has ended.")] = False,
) -> None:
    """Run one submission or all of them again, with their specs and seeds. For staff."""
    if (user is None) != everyone:
        raise BadInput("name one student, or --all for the whole class")
    if again and not everyone:
        raise BadInput("--again goes with --all")
    homework = find_assignment(session, assignment).id
    if user is not None:
        _rerun_one(session, homework, user, wait=wait)
        return
    _start_all(session, homework, again)
    if wait:
        _wait(session, homework)
    _print_reruns(session, session.client.users.reruns(homework))


def _rerun_one(session: Session, homework: "UUID", user: str, *, wait: bool) -> None:
    job = session.client.users.rerun(homework, find_user(session, user).id)
    if wait:
        follow_to_end(session, session.client.job(job.id), each_change=False)
    elif session.as_json:
        print_json(job)
    else:
        print(f"{job.id}  {job.experiment} {STATE_WORDS[job.state]}")


def _start_all(session: Session, homework: "UUID", again: bool) -> None:
    started = 0
    for part in session.client.users.run_all_again(homework, everyone=again):
        started += part.started
        if not session.as_json:
            rest = f", {part.remaining} to go" if part.remaining else ""
            print(f"{counted(started, 'submission')} queued{rest}")
        if part.stopped_by is not None:
            raise BadInput(f"{part.remaining} submissions are left: {part.stopped_by}; run the command again later")


def _wait(session: Session, homework: "UUID") -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("Re-runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("")
        while (found := session.client.users.reruns(homework)).waiting:
            progress.update(bar, completed=found.submissions - found.waiting, total=found.submissions)
            time.sleep(POLL_SECONDS)


def _print_reruns(session: Session, found: "RerunsRead") -> None:
    if session.as_json:
        print_json(found)
        return
    parts = [(found.same, "the same"), (found.different, "different"), (found.failed, "failed")]
    parts += [(found.waiting, "waiting"), (found.missing, "not run again")]
    print(
        f"{counted(found.submissions, 'submission')}: {', '.join(f'{count} {what}' for count, what in parts if count)}"
    )


def _rubric(lines: list[str]) -> dict[str, float]:
    """Raises BadInput."""
    found: dict[str, float] = {}
    for line in lines:
        text, equals, points = line.rpartition("=")
        if not equals or not text.strip():
            raise BadInput(f"{line!r} is not a rubric line; write 'Plots=3'")
        if text.strip() in found:
            raise BadInput(f"the rubric line {text.strip()!r} appears twice")
        found[text.strip()] = number("line", points)
    return found


def _show(session: Session, found: "GradeDetail") -> None:
    from gpulab.cli.tables import moment, print_facts, print_table

    if session.as_json:
        print_json(found)
        return
    none = [] if found.final_points is not None else [("grade", "none yet")]
    earlier = found.of_earlier_run and "is for an earlier run: a newer one was handed in"
    print_facts(
        [("student", found.user), *none, *grade_facts(found), ("source", found.source), ("note", earlier or "")]
    )
    rows = [
        [one.source, one.state, "" if one.points is None else f"{one.points:g}", one.by, moment(one.at), one.comment]
        for one in found.sources
    ]
    if rows:
        print_table(["SOURCE", "STATE", "POINTS", "BY", "WHEN", "COMMENT"], rows)
    if len(found.history) > 1:
        print_table(["BY HAND", "BY", "POINTS", "COMMENT"], [_change(one) for one in found.history])


def _change(one: "GradeChangeRead") -> list[str | None]:
    from gpulab.cli.tables import moment

    points = "taken back" if one.removed else "" if one.points is None else f"{one.points:g}"
    return [moment(one.at), one.by, points, one.comment]


def _print_import(session: Session, done: "GradesImported") -> None:
    from gpulab.cli.tables import print_table, printable

    if session.as_json:
        print_json(done)
        return
    print(f"{done.changed} {'would be ' if done.dry_run else ''}changed, {done.kept} unchanged")
    changed = [row for row in done.rows if row.action == "change"]
    rows = [
        [
            str(row.line),
            row.user,
            _before_after(_points(row.points_before), _points(row.points_after)),
            _before_after(row.comment_before, row.comment_after),
        ]
        for row in changed[:MAX_CHANGES_SHOWN]
    ]
    if rows:
        print_table(["LINE", "NAME", "POINTS", "COMMENT"], rows)
    if len(changed) > MAX_CHANGES_SHOWN:
        print(f"and {len(changed) - MAX_CHANGES_SHOWN} more")
    for notice in done.notices:
        print(f"note: {printable(notice)}")


def _points(points: float | None) -> str | None:
    return None if points is None else f"{points:g}"


def _before_after(before: str | None, after: str | None) -> str:
    return (before or "-") if before == after else f"{before or '-'} → {after or '-'}"
