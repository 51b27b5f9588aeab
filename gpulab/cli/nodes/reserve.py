"""`gpulab reserve`: GPUs that are kept free for a class at certain times."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import AsJson, Session, TokenFile, Url, print_json, session_command
from gpulab.cli.users.assignments import find_assignment
from gpulab.cli.users.naming import OfCourse, course_field, find_user
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas import LabHoursRead

HELP = "Lab hours: keep GPUs free for a section, an assignment or users at certain times."
app = typer.Typer(help=HELP)

Name = Annotated[str, typer.Argument(metavar="LAB-HOURS", help="Name or id of lab hours.")]
Gpus = Annotated[int | None, typer.Option(min=1, help="Number of GPUs. Default with --node: all of the node.")]
Node = Annotated[str | None, typer.Option(help="Keep only GPUs of this machine.")]
Section = Annotated[str | None, typer.Option(help="For jobs of this section.")]
OfAssignment = Annotated[str | None, typer.Option("--assignment", help="For work on this assignment: name or id.")]
Users = Annotated[
    list[str] | None, typer.Option("--user", help="For this user: name, email address or id. Repeatable.")
]
WeeklyUntil = Annotated[str | None, typer.Option(help="Each week until this day (2030-02-04).")]
GiveBack = Annotated[
    int | None, typer.Option(min=0, help="Minutes after the start until unused GPUs are open to all. Default: 15.")
]
TIME_HELP = "2030-01-07T10:00, in the lab's time zone."


@app.callback(invoke_without_command=True, help=f"{HELP} Without a command: the list.")
def root(context: typer.Context, url: Url = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    if context.invoked_subcommand is None:
        with closing(Session(url, token_file, as_json)) as session:
            _list(session)
    elif (url, token_file, as_json) != (None, None, False):
        raise BadInput(f"put the options after the command: gpulab reserve {context.invoked_subcommand} ...")


@session_command(app, "list")
def list_lab_hours(session: Session) -> None:
    """List lab hours that are not over, the next one first."""
    _list(session)


@session_command(app)
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for the lab hours.")],
    start: Annotated[str, typer.Option(help=f"First start: {TIME_HELP}")],
    end: Annotated[str, typer.Option(help=f"First end: {TIME_HELP}")],
    gpus: Gpus = None,
    node: Node = None,
    section: Section = None,
    assignment: OfAssignment = None,
    users: Users = None,
    weekly_until: WeeklyUntil = None,
    give_back: GiveBack = None,
    course: OfCourse = None,
) -> None:
    """Keep GPUs free, once or each week. For staff."""
    fields = _fields(session, gpus, node, section, assignment, users, weekly_until, give_back)
    fields |= course_field(session, course)
    _show(session, session.client.create_lab_hours(name, start, end, **fields))


@session_command(app)
def change(
    session: Session,
    lab_hours: Name,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    start: Annotated[str | None, typer.Option(help=f"First start: {TIME_HELP}")] = None,
    end: Annotated[str | None, typer.Option(help=f"First end: {TIME_HELP}")] = None,
    gpus: Gpus = None,
    node: Node = None,
    section: Section = None,
    assignment: OfAssignment = None,
    users: Users = None,
    weekly_until: WeeklyUntil = None,
    give_back: GiveBack = None,
) -> None:
    """Change lab hours; what is left out stays. For staff."""
    fields = _fields(session, gpus, node, section, assignment, users, weekly_until, give_back)
    fields |= _given(name=name, start=start, end=end)
    if not fields:
        raise BadInput("nothing to change; `gpulab reserve change --help` lists the options")
    _show(session, session.client.change_lab_hours(_find(session, lab_hours).id, **fields))


@session_command(app)
def skip(
    session: Session,
    lab_hours: Name,
    day: Annotated[str, typer.Argument(help="A day on which they would take place: 2030-01-21.")],
    undo: Annotated[bool, typer.Option("--undo", help="Do not skip this day any more.")] = False,
) -> None:
    """Leave out one day, such as a holiday. For staff."""
    found = _find(session, lab_hours)
    days = set(found.skipped_days) - {day} if undo else {*found.skipped_days, day}
    _show(session, session.client.change_lab_hours(found.id, skipped_days=sorted(days)))


@session_command(app)
def cancel(session: Session, lab_hours: Name) -> None:
    """Cancel lab hours, with all that are still to come. For staff."""
    found = _find(session, lab_hours)
    session.client.cancel_lab_hours(found.id)
    print_json({"cancelled": str(found.id)}) if session.as_json else print(f"{found.name}: cancelled")


def _fields(
    session: Session,
    gpus: int | None,
    node: str | None,
    section: str | None,
    assignment: str | None,
    users: list[str] | None,
    weekly_until: str | None,
    give_back: int | None,
) -> dict[str, Any]:
    assignment_id = assignment and str(find_assignment(session, assignment).id)
    user_ids = users and [str(find_user(session, one).id) for one in users]
    return _given(
        gpus=gpus,
        node=node,
        section=section,
        assignment_id=assignment_id,
        user_ids=user_ids,
        weekly_until=weekly_until,
        give_back_minutes=give_back,
    )


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _find(session: Session, text: str) -> "LabHoursRead":
    """Raises BadInput if none match, or several do."""
    found = [one for one in session.client.lab_hours() if text in (one.name, str(one.id))]
    if not found:
        raise BadInput(f"no lab hours have the name or id {text!r}; `gpulab reserve` lists them")
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found)
        raise BadInput(f"{len(found)} lab hours have the name {text!r}: use the id: {ids}")
    return found[0]


def _list(session: Session) -> None:
    from gpulab.cli.tables import print_table, until

    found = session.client.lab_hours()
    if session.as_json:
        print_json(found)
    elif not found:
        print("No lab hours.")
    else:
        columns = ["LAB HOURS", "GPUS", "FOR", "NEXT", "WHEN"]
        print_table(
            columns,
            ([one.name or "-", _gpus(one), _audience(one), until(one.next[0].start), one.when] for one in found),
        )


def _show(session: Session, one: "LabHoursRead") -> None:
    from gpulab.cli.tables import moment, until

    if session.as_json:
        print_json(one)
        return
    print(f"{one.name}: {_gpus(one)} for {_audience(one)}, {one.when}")
    for next_one in one.next[:1]:
        print(f"  next {until(next_one.start)}, {moment(next_one.start)} by your clock")
    if one.skipped_days:
        print(f"  not on {', '.join(one.skipped_days)}")


def _gpus(one: "LabHoursRead") -> str:
    if one.gpus is None:
        return f"all of {one.node}"
    return counted(one.gpus, "GPU") + (f" of {one.node}" if one.node else "")


def _audience(one: "LabHoursRead") -> str:
    parts = [
        *([f"section {one.section}"] if one.section else []),
        *([f"assignment {one.assignment}"] if one.assignment else []),
        *([", ".join((one.users or {}).values())] if one.users else []),
    ]
    return " and ".join(parts) or ("you" if one.yours else "others")
