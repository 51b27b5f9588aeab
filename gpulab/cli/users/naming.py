"""How a command names a user and a time."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session
from gpulab.names import cleaned

if TYPE_CHECKING:
    from gpulab.schemas import UserRead

User = Annotated[str, typer.Argument(metavar="USER", help="Name, email address or id.")]
OfUser = Annotated[str | None, typer.Option("--user", help="Another user: name, email address or id.")]
Expires = Annotated[
    str | None,
    typer.Option("--expires", help="Last day (2030-01-31), or a time (2030-01-31T18:00) in your time zone."),
]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def find_user(session: Session, text: str) -> "UserRead":
    """The user named on the command line. Raises BadInput if no user matches, or several do."""
    try:
        return session.client.users.get(UUID(text))
    except ValueError:
        pass
    text = cleaned(text)
    wanted = text.casefold()
    found = [one for one in session.client.users.search(text=text) if wanted in (one.name.casefold(), one.email)]
    # An email address belongs to one user, even if another user has it as a name.
    found = [one for one in found if one.email == wanted] or found
    if not found:
        raise BadInput(f"no user has the name, email address or id {text!r}; `gpulab users list` shows them")
    if len(found) > 1:
        shown = ", ".join(sorted(one.email or str(one.id) for one in found))
        raise BadInput(f"{len(found)} users have the name {text!r}: use the email address or id: {shown}")
    return found[0]


def end_of(text: str | None) -> datetime | None:
    """A date is the end of that day. Raises BadInput."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{text}T23:59:59" if DATE.fullmatch(text) else text)
    except ValueError:
        moment = None
    if moment is None or text.isdecimal():
        raise BadInput(f"{text!r} is not a time; write 2030-01-31, 2030-01-31T18:00 or 2030-01-31T18:00+01:00")
    return moment.astimezone()
