"""`gpulab tokens ...`."""

from typing import Annotated
from uuid import UUID

import typer

from gpulab.cli.each import each
from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.users.naming import Expires, OfUser, end_of, find_user

app = typer.Typer(help="Your tokens; staff may name another user.", no_args_is_help=True)


@session_command(app, "list")
def list_tokens(session: Session, user: OfUser = None) -> None:
    """List tokens by name and first characters."""
    from gpulab.cli.tables import moment, print_table

    found = list(session.client.users.tokens(None if user is None else find_user(session, user).id))
    if session.as_json:
        print_json(found)
        return
    rows = [
        [str(one.id), one.name, one.prefix, moment(one.expires_at) or "never", "revoked" if one.revoked_at else ""]
        for one in found
    ]
    print_table(["ID", "NAME", "BEGINS WITH", "EXPIRES", "STATUS"], rows)


@session_command(app)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="What it is for, such as laptop or notebook.")],
    expires: Expires = None,
    user: OfUser = None,
) -> None:
    """Create a token and print it. It is shown once."""
    whose = None if user is None else find_user(session, user).id
    made = session.client.users.create_token(name, expires_at=end_of(expires), user_id=whose)
    if session.as_json:
        print_json(made)
    else:
        print(made.token)


@session_command(app)
def revoke(
    session: Session,
    token: Annotated[list[str], typer.Argument(metavar="TOKEN...", help="Ids or names, from `gpulab tokens list`.")],
) -> None:
    """Revoke tokens. Sessions that were opened with them end too."""
    each(
        session, token, lambda text: _revoke(session, text), lambda one: f"{one}  revoked", lambda one: {"id": str(one)}
    )


def _revoke(session: Session, text: str) -> UUID:
    token_id = _find_token(session, text)
    session.client.users.revoke_token(token_id)
    return token_id


def _find_token(session: Session, text: str) -> UUID:
    """The token named by its id, or one of yours by its name. Raises BadInput."""
    try:
        return UUID(text)
    except ValueError:
        found = [one.id for one in session.client.users.tokens() if one.name == text and one.revoked_at is None]
    if len(found) == 1:
        return found[0]
    problem = "no valid token of yours has" if not found else f"{len(found)} tokens of yours have"
    raise BadInput(f"{problem} the name {text!r}; name one by its id: `gpulab tokens list` shows them")
