"""How a command names a user and a time."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session
from gpulab.names import address_form, cleaned

if TYPE_CHECKING:
    from gpulab.schemas import UserRead

User = Annotated[str, typer.Argument(metavar="USER", help="Name, email address or id.")]
OfUser = Annotated[str | None, typer.Option("--user", help="Another user: name, email address or id.")]
CourseName = Annotated[str, typer.Argument(metavar="COURSE", help="Name, 'name (term)' or id.")]
OfCourse = Annotated[
    str | None, typer.Option("--course", help="A course, if you have several: name, 'name (term)' or id.")
]
OnlyCourse = Annotated[str | None, typer.Option("--course", help="Only of this course: name, 'name (term)' or id.")]
Expires = Annotated[
    str | None,
    typer.Option("--expires", help="Last day (2030-01-31), or a time (2030-01-31T18:00) in your time zone."),
]
MAX_LIKE = 5
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def find_user(session: Session, text: str) -> "UserRead":
    """The user named on the command line. Raises BadInput if no user matches, or several do."""
    try:
        return session.client.users.get(UUID(text))
    except ValueError:
        pass
    text = cleaned(text)
    wanted, address = text.casefold(), address_form(text)
    like = list(session.client.users.search(text=text))
    # An email address belongs to one user, even if another user has it as a name.
    found = [one for one in like if one.email == address] or [one for one in like if one.name.casefold() == wanted]
    if not found:
        names = ", ".join(sorted(one.name for one in like[:MAX_LIKE]))
        hint = f"did you mean {names}?" if names else "`gpulab users list` shows them"
        raise BadInput(f"no user has the name, email address or id {text!r}; {hint}")
    if len(found) > 1:
        shown = ", ".join(sorted(one.email or str(one.id) for one in found))
        raise BadInput(f"{len(found)} users have the name {text!r}: use the email address or id: {shown}")
    return found[0]


def find_course(session: Session, text: str) -> UUID:
    """The id of the course named on the command line. Raises BadInput if no course matches, or several do."""
    wanted = cleaned(text).casefold()
    every = session.client.courses.all()
    named = {one.id: one.name if one.term is None else f"{one.name} ({one.term})" for one in every}
    found = [one.id for one in every if wanted in (str(one.id), one.name.casefold(), named[one.id].casefold())]
    if not found:
        raise BadInput(f"no course of yours has the name or id {text!r}; `gpulab courses list` shows them")
    if len(found) > 1:
        raise BadInput(
            f"{len(found)} courses have the name {text!r}: add the term: {', '.join(named[one] for one in found)}"
        )
    return found[0]


def course_field(session: Session, course: str | None) -> dict[str, Any]:
    """The field of a request that names the course; none where the command line names none."""
    return {} if course is None else {"course_id": str(find_course(session, course))}


def start_of(text: str | None) -> datetime | None:
    """A date is the start of that day. Raises BadInput."""
    return _moment(text, "00:00:00")


def end_of(text: str | None) -> datetime | None:
    """A date is the end of that day. Raises BadInput."""
    return _moment(text, "23:59:59")


def _moment(text: str | None, clock: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{text}T{clock}" if DATE.fullmatch(text) else text)
    except ValueError:
        moment = None
    if moment is None or text.isdecimal():
        raise BadInput(f"{text!r} is not a time; write 2030-01-31, 2030-01-31T18:00 or 2030-01-31T18:00+01:00")
    return moment.astimezone()
