"""`gpulab courses ...`: classes that share the lab."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.users.naming import CourseName, User, find_course, find_user

if TYPE_CHECKING:
    from gpulab.schemas.courses import CourseRead

app = typer.Typer(help="Courses that share the lab: their members, and their end.", no_args_is_help=True)

NO_TERM = "-"


@session_command(app, "list")
def list_courses(session: Session) -> None:
    """List your courses; for an admin all of the lab."""
    from gpulab.cli.tables import moment, print_table

    found = session.client.courses.all()
    if session.as_json:
        print_json(found)
        return
    rows = [
        [
            one.name,
            one.term,
            one.your_role,
            ", ".join(one.instructors),
            "" if one.students is None else str(one.students),
            f"{one.weight:g}",
            f"archived {moment(one.archived_at)}" if one.archived_at else "open",
        ]
        for one in found
    ]
    print_table(["COURSE", "TERM", "YOU ARE", "INSTRUCTORS", "STUDENTS", "WEIGHT", "STATUS"], rows)


@session_command(app)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="Its name, such as cs231n.")],
    term: Annotated[str | None, typer.Option(help="Such as 'Autumn 2030'.")] = None,
) -> None:
    """Add a course. For admins."""
    _show(session, session.client.courses.create(name, term=term), "created")


@session_command(app)
def change(
    session: Session,
    course: CourseName,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    term: Annotated[str | None, typer.Option(help="A new term; - for none.")] = None,
    weight: Annotated[float | None, typer.Option(help="Weight of its runs in the queue; 1 at first.")] = None,
) -> None:
    """Change a course's name, term or weight. For admins."""
    fields: dict[str, Any] = {} if name is None else {"name": name}
    if term is not None:
        fields["term"] = None if term == NO_TERM else term
    if weight is not None:
        fields["weight"] = weight
    if not fields:
        raise BadInput("name what to change: --name, --term or --weight")
    _show(session, session.client.courses.change(find_course(session, course), **fields), "changed")


@session_command(app)
def archive(session: Session, course: CourseName) -> None:
    """Make everything of a course read-only. For its instructors."""
    _show(session, session.client.courses.archive(find_course(session, course)), "archived")


@session_command(app)
def reopen(session: Session, course: CourseName) -> None:
    """Open an archived course again. For admins."""
    _show(session, session.client.courses.reopen(find_course(session, course)), "open")


@session_command(app)
def add(
    session: Session,
    course: CourseName,
    user: User,
    role: Annotated[str, typer.Option(help="student or instructor.")] = "student",
) -> None:
    """Add a user to a course, or change their role in it."""
    user_id = find_user(session, user).id
    _tell(session, session.client.courses.add_member(find_course(session, course), user_id, role=role))


@session_command(app)
def remove(session: Session, course: CourseName, user: User) -> None:
    """Remove a user from a course. What they ran and handed in stays."""
    found = find_user(session, user)
    session.client.courses.remove_member(find_course(session, course), found.id)
    print_json({"removed": str(found.id)}) if session.as_json else print(f"{found.name}: removed from {course}")


def _tell(session: Session, made: Any) -> None:
    print_json(made) if session.as_json else print(f"{made.user}: {made.role}")


def _show(session: Session, course: "CourseRead", done: str) -> None:
    if session.as_json:
        print_json(course)
        return
    term = f" ({course.term})" if course.term else ""
    print(f"{course.name}{term}: {done}")
