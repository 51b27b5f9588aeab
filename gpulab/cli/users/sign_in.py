"""`gpulab sign-in` and `gpulab sign-out`."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session, print_json, session_command

if TYPE_CHECKING:
    from gpulab.client.transport.connection import Connection

app = typer.Typer()

OVERRIDES = ("GPULAB_URL", "GPULAB_TOKEN", "GPULAB_TOKEN_FILE")


@session_command(app, "sign-in")
def sign_in(
    session: Session,
    address: Annotated[str | None, typer.Argument(help="The lab's address, such as https://lab.example.org.")] = None,
) -> None:
    """Check your token, and keep it and the lab's address for later commands.

    On a terminal it asks for the token; otherwise it reads it from standard input.
    """
    from gpulab.client import Client
    from gpulab.client.transport.connection import resolve, save

    given = address or session.url
    file = session.token_file
    connection = resolve(given, None if file else _ask_token(resolve(given, token="").url), file)
    with Client(connection.url, connection.token) as client:
        me = client.me()
    folder = save(connection)
    if session.as_json:
        print_json({"url": connection.url, "user": me.name, "role": me.role, "folder": str(folder)})
        return
    print(f"Signed in to {connection.url} as {me.name} ({me.role}). Address and token are saved in {folder}.")
    print("Next: `gpulab assignments` lists what is due, and `gpulab experiments` what you can run.")
    _warn_of_overrides(connection)


@session_command(app, "sign-out")
def sign_out(session: Session) -> None:
    """Remove the saved token and address from this computer. The token stays valid."""
    from gpulab.client.transport.connection import forget

    removed = forget()
    if session.as_json:
        print_json({"removed": [str(path) for path in removed]})
    elif removed:
        print("Signed out. The token stays valid: `gpulab tokens revoke` withdraws one.")
    else:
        print("Nothing is saved on this computer.")


def _ask_token(url: str) -> str:
    """The token from the terminal, without showing it, or from standard input. Raises BadInput."""
    if sys.stdin.isatty():
        prompt = f"Paste your token for {url} and press Enter (it is not shown)"
        token: str = typer.prompt(prompt, hide_input=True, err=True)
    else:
        token = sys.stdin.readline()
    if not token.strip():
        raise BadInput("no token was given: on a terminal the command asks for it, or send it to standard input")
    return token


def _warn_of_overrides(connection: "Connection") -> None:
    """A variable of the shell comes before what is saved, and may name another lab or another user."""
    for name in OVERRIDES:
        if (value := os.environ.get(name)) and value.rstrip("/") not in (connection.url, connection.token):
            print(f"{name} is set in this shell and comes first. To use what was saved: unset {name}", file=sys.stderr)
