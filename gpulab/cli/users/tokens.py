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
    """List tokens: names and first characters, never the tokens."""
    from gpulab.cli.tables import print_table

    found = list(session.client.people.tokens(None if user is None else find_user(session, user).id))
    if session.as_json:
        print_json(found)
        return
    rows = [
        [str(one.id), one.name, one.prefix, str(one.expires_at or "never"), "revoked" if one.revoked_at else ""]
        for one in found
    ]
    print_table(["TOKEN", "NAME", "BEGINS", "ENDS", ""], rows)


@session_command(app)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="What it is for: laptop, notebook.")],
    expires: Expires = None,
    user: OfUser = None,
) -> None:
    """Make a token and print it, once."""
    whose = None if user is None else find_user(session, user).id
    made = session.client.people.create_token(name, expires_at=end_of(expires), user_id=whose)
    if session.as_json:
        print_json(made)
    else:
        print(made.token)


@session_command(app)
def revoke(
    session: Session,
    token: Annotated[list[str], typer.Argument(metavar="TOKEN...", help="Ids, from `gpulab tokens list`.")],
) -> None:
    """End tokens, and the sessions that they opened."""
    each(
        session, token, lambda text: _revoke(session, text), lambda one: f"{one}  revoked", lambda one: {"id": str(one)}
    )


def _revoke(session: Session, text: str) -> UUID:
    try:
        token_id = UUID(text)
    except ValueError:
        raise BadInput(f"{text!r} is not the id of a token; `gpulab tokens list` shows them") from None
    session.client.people.revoke_token(token_id)
    return token_id
