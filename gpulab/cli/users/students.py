"""`gpulab assignments ...` on many students at once. For staff."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from gpulab.cli.failures import ExitCode
from gpulab.cli.session import Session, print_json
from gpulab.cli.session import session_command as command
from gpulab.cli.users.assignments import NO_MATCH, AssignmentName, find_assignment, state_named
from gpulab.cli.users.grades import app
from gpulab.cli.users.naming import find_user
from gpulab.names import shown as printable
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas.assignments import AssignmentRead
    from gpulab.schemas.assignments.students import StudentsDone

__all__ = ["app"]

MAX_CHECKED = 25
MAX_STUDENTS = 1000
SHOWN_DAYS = 7
MAX_NAMED = 10
"""Students whom one line names."""

Users = Annotated[list[str] | None, typer.Option("--user", help="Name, email address or id; repeatable.")]
State = Annotated[str | None, typer.Option(help="Students in this state, such as stuck or not_started.")]
Section = Annotated[str | None, typer.Option(help="Students of this section.")]
Team = Annotated[str | None, typer.Option(help="Students of this team.")]
Text = Annotated[str | None, typer.Option(help="Students whose name or email address contains this text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The students that a command is about."""

    assignment: "AssignmentRead"
    ids: list[UUID]


@command(app)
def extend_students(
    session: Session,
    assignment: AssignmentName,
    deadline: Annotated[str, typer.Option(help="Last day (2030-01-31) or a time, in the lab's time zone.")],
    reason: Annotated[str | None, typer.Option(help="Only staff can see it.")] = None,
    user: Users = None,
    state: State = None,
    section: Section = None,
    team: Team = None,
    text: Text = None,
    yes: Yes = False,
) -> None:
    """Give many students a later deadline. Students with an even later one keep it. For staff."""
    chosen = _chosen(session, assignment, user, state=state, section=section, team=team, text=text)

    def extend(ids: Sequence[UUID]) -> "StudentsDone":
        return session.client.users.extend_students(chosen.assignment.id, ids, deadline, reason=reason)

    _act(
        session,
        chosen,
        "Give {} a later deadline?",
        extend,
        lambda done: f"{counted(done.done, 'student')} extended",
        yes=yes,
    )


@command(app)
def message_students(
    session: Session,
    assignment: AssignmentName,
    message: Annotated[str, typer.Argument(help="The text, at most 500 characters.")],
    until: Annotated[str | None, typer.Option(help="Last day or time.", show_default="for a week")] = None,
    user: Users = None,
    state: State = None,
    section: Section = None,
    team: Team = None,
    text: Text = None,
    yes: Yes = False,
) -> None:
    """Show many students a text on top of every page. For staff."""
    chosen = _chosen(session, assignment, user, state=state, section=section, team=team, text=text)
    ends_at = until or datetime.now().astimezone() + timedelta(days=SHOWN_DAYS)

    def write(ids: Sequence[UUID]) -> "StudentsDone":
        return session.client.users.message_students(chosen.assignment.id, ids, message, ends_at=ends_at)

    _act(session, chosen, "Write to {}?", write, lambda done: f"{counted(done.done, 'student')} can read it", yes=yes)


@command(app)
def cancel_waiting(
    session: Session,
    assignment: AssignmentName,
    user: Users = None,
    state: State = None,
    section: Section = None,
    team: Team = None,
    text: Text = None,
    yes: Yes = False,
) -> None:
    """Cancel runs of many students that count for the assignment and wait in the queue. For staff."""
    chosen = _chosen(session, assignment, user, state=state, section=section, team=team, text=text)

    def cancel(ids: Sequence[UUID]) -> "StudentsDone":
        return session.client.users.cancel_waiting_runs(chosen.assignment.id, ids)

    def line(done: "StudentsDone") -> str:
        return f"{counted(done.runs, 'run')} of {counted(done.done, 'student')} cancelled"

    _act(session, chosen, "Cancel the waiting runs of {}?", cancel, line, yes=yes)


@command(app)
def check_students(
    session: Session,
    assignment: AssignmentName,
    user: Users = None,
    state: State = None,
    section: Section = None,
    team: Team = None,
    text: Text = None,
    yes: Yes = False,
) -> None:
    """Run the hidden check of many submissions again. For staff."""
    chosen = _chosen(session, assignment, user, state=state, section=section, team=team, text=text)

    def check(ids: Sequence[UUID]) -> "StudentsDone":
        return session.client.users.check_students(chosen.assignment.id, ids)

    def line(done: "StudentsDone") -> str:
        return f"{counted(done.runs, 'check')} queued"

    _act(session, chosen, "Check the submissions of {} again?", check, line, size=MAX_CHECKED, yes=yes)


def _chosen(session: Session, assignment: str, users: Sequence[str] | None, **among: str | None) -> Chosen:
    found = find_assignment(session, assignment)
    named = [find_user(session, one).id for one in users or []]
    if named and not any(among.values()):
        return Chosen(found, named)
    among["state"] = state_named(among["state"])
    wanted = session.client.users.wall(found.id, **among).students
    return Chosen(found, [one.user_id for one in wanted if not named or one.user_id in named])


def _act(
    session: Session,
    chosen: Chosen,
    question: str,
    send: "Callable[[Sequence[UUID]], StudentsDone]",
    line: "Callable[[StudentsDone], str]",
    *,
    size: int = MAX_STUDENTS,
    yes: bool = False,
) -> None:
    """Ask, act a part at a time, and say for whom nothing was done. Exits with 1 where that is everybody."""
    from gpulab.schemas.assignments.students import StudentsDone

    if not chosen.ids:
        print_json(StudentsDone(done=0, runs=0, not_done=[])) if session.as_json else print(NO_MATCH)
        return
    if not (yes or session.as_json) and sys.stdin.isatty():
        typer.confirm(question.format(counted(len(chosen.ids), "student")), abort=True)
    parts = [send(chosen.ids[at : at + size]) for at in range(0, len(chosen.ids), size)]
    done = StudentsDone(
        done=sum(part.done for part in parts),
        runs=sum(part.runs for part in parts),
        not_done=[one for part in parts for one in part.not_done],
    )
    if session.as_json:
        print_json(done)
    else:
        print(line(done))
        for reason, names in _by_reason(done).items():
            shown = f"{counted(len(names), 'student')}: " if len(names) > MAX_NAMED else ""
            more = f" and {len(names) - MAX_NAMED:,} more" if shown else ""
            print(f"  {reason}: {shown}{', '.join(names[:MAX_NAMED])}{more}")
    if done.done == 0:
        raise typer.Exit(ExitCode.JOB_FAILED)


def _by_reason(done: "StudentsDone") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in done.not_done:
        found.setdefault(one.reason, []).append(printable(one.user or str(one.user_id)))
    return found
