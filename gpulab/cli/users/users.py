"""`gpulab users ...`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.users.naming import Expires, OfCourse, User, course_field, end_of, find_course, find_user, start_of

if TYPE_CHECKING:
    from gpulab.schemas import AuditEventRead, UserRead

app = typer.Typer(help="Users, their roles and limits. For staff.", no_args_is_help=True)

NOTHING = "-"
"""On the command line: remove the value."""


@session_command(app, "list")
def list_users(
    session: Session,
    role: Annotated[str | None, typer.Option(help="student, instructor or admin.")] = None,
    section: Annotated[str | None, typer.Option(help="Only this section.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of the name or email address.")] = None,
    course: OfCourse = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")] = 100,
) -> None:
    """List users."""
    from gpulab.cli.tables import print_table

    of = None if course is None else find_course(session, course)
    filters = {"role": role, "section": section, "team": team, "text": text}
    found = list(session.client.users.search(**filters, course=of, limit=limit))
    if session.as_json:
        print_json(found)
        return
    rows = [
        [one.name, one.role, one.email, one.section, one.team, f"{one.weight:g}", "disabled" if one.disabled_at else ""]
        for one in found
    ]
    print_table(["NAME", "ROLE", "EMAIL", "SECTION", "TEAM", "WEIGHT", "STATUS"], rows)


@session_command(app)
def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="Their name in the lab.")],
    role: Annotated[str, typer.Option(help="student, instructor or admin.")] = "student",
    email: Annotated[str | None, typer.Option(help="Their email address.")] = None,
    section: Annotated[str | None, typer.Option(help="Their section.")] = None,
    team: Annotated[str | None, typer.Option(help="Their team.")] = None,
    course: OfCourse = None,
    expires: Expires = None,
) -> None:
    """Add a user and print their first token. It is shown once."""
    fields = {"role": role, "email": email, "section": section, "team": team}
    made = session.client.users.create_user(
        name, **fields, token_expires_at=end_of(expires), **course_field(session, course)
    )
    _show(session, made, made.token)


@session_command(app)
def show(session: Session, user: User) -> None:
    """Show a user and their limits."""
    _show(session, find_user(session, user))


@session_command(app)
def change(
    session: Session,
    user: User,
    role: Annotated[str | None, typer.Option(help="student, instructor or admin.")] = None,
    email: Annotated[str | None, typer.Option(help="Their email address; - removes it.")] = None,
    section: Annotated[str | None, typer.Option(help="Their section; - removes it.")] = None,
    team: Annotated[str | None, typer.Option(help="Their team; - removes it.")] = None,
    weight: Annotated[float | None, typer.Option(help="Relative share of the lab. Default: 1.")] = None,
    running: Annotated[str | None, typer.Option(help="Limit of running jobs; - means the lab's limit.")] = None,
    queued: Annotated[str | None, typer.Option(help="Limit of waiting jobs; - means the lab's limit.")] = None,
    gpu_hours: Annotated[str | None, typer.Option(help="Limit of GPU-hours; - means the lab's limit.")] = None,
    gib_hours: Annotated[str | None, typer.Option(help="Limit of GiB-hours; - means the lab's limit.")] = None,
    forget_sign_in: Annotated[
        bool,
        typer.Option(
            "--forget-sign-in", help="Unlink their university account; the next sign-in goes by email address."
        ),
    ] = False,
) -> None:
    """Change a user's role, email address, section, team, weight or limits."""
    words = {"role": role, "email": email, "section": section, "team": team}
    limits = {"max_running": running, "max_queued": queued, "max_gpu_hours": gpu_hours, "max_gib_hours": gib_hours}
    changes: dict[str, Any] = {name: None if text == NOTHING else text for name, text in words.items() if text}
    changes |= {name: _number(name, text) for name, text in limits.items() if text}
    if weight is not None:
        changes["weight"] = weight
    if forget_sign_in:
        changes["forget_sign_in"] = True
    if not changes:
        raise BadInput("name at least one change; --help lists them")
    _show(session, session.client.users.change_user(find_user(session, user).id, **changes))


@session_command(app)
def disable(session: Session, user: User) -> None:
    """Disable a user. Their runs stay."""
    _show(session, session.client.users.disable_user(find_user(session, user).id))


@session_command(app)
def enable(session: Session, user: User) -> None:
    """Enable a user again."""
    _show(session, session.client.users.enable_user(find_user(session, user).id))


@session_command(app)
def audit(
    session: Session,
    user: Annotated[str | None, typer.Option(help="Only what this user did: name, email address or id.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it, if not a user: anonymous or operator.")] = None,
    action: Annotated[str | None, typer.Option(help="What was done: user.created, node.drained, ...")] = None,
    target: Annotated[str | None, typer.Option(help="What it was done to: user:ID, job:ID, node:NAME, ...")] = None,
    since: Annotated[str | None, typer.Option(help="From this day (2030-01-31) or time (2030-01-31T18:00) on.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to the end of this day, or up to this time.")] = None,
    sign_ins: Annotated[bool, typer.Option("--sign-ins", help="Show the sign-ins; other events are left out.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")] = 50,
) -> None:
    """Show the audit log: who did what, when and from where. --sign-ins shows the sign-ins instead."""
    from gpulab.cli.tables import moment, print_table

    found = list(
        session.client.users.audit(
            actor=actor if user is None else f"user:{find_user(session, user).name}",
            action=action,
            target=target,
            # An action names what it wants; it may be a sign-in.
            sign_ins=sign_ins if action is None else None,
            since=start_of(since),
            until=end_of(until),
            limit=limit,
        )
    )
    if session.as_json:
        print_json(found)
        return
    rows = [[moment(one.at), one.actor.removeprefix("user:"), one.action, _target(one), one.address] for one in found]
    print_table(["TIME", "WHO", "ACTION", "TARGET", "ADDRESS"], rows)


def _target(event: "AuditEventRead") -> str | None:
    """`job bands`, or its id if it has no name any more."""
    if event.target is None or event.target_name is None:
        return event.target
    return f"{event.target.partition(':')[0]} {event.target_name}"


def _show(session: Session, user: "UserRead", token: str | None = None) -> None:
    from gpulab.cli.tables import print_facts

    if session.as_json:
        print_json(user)
        return
    names = ("name", "role", "email", "section", "team", "weight")
    limits = ("max_running", "max_queued", "max_gpu_hours", "max_gib_hours")
    facts: list[tuple[str, Any]] = [("id", user.id), *((name, getattr(user, name)) for name in names)]
    facts += [(name.replace("_", " "), getattr(user, name)) for name in limits]
    print_facts([*facts, ("disabled since", user.disabled_at), ("token", token)])


def _number(name: str, text: str) -> float | int | None:
    if text == NOTHING:
        return None
    try:
        return float(text) if name.endswith("hours") else int(text)
    except ValueError:
        raise BadInput(f"{name} must be a number or -, not {text!r}") from None
