"""`gpulab me ...`, and `gpulab users export`, `anonymise` and `delete`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.jobs.deleting import Yes
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.users.naming import User, find_user
from gpulab.cli.users.users import app as users
from gpulab.states import Erasure

if TYPE_CHECKING:
    from uuid import UUID

    from gpulab.schemas import ErasureRead, UserRead

app = typer.Typer(help="Your account, and all data that the lab has about you.", no_args_is_help=True)

To = Annotated[Path | None, typer.Option("--to", help="The zip to write. Default: gpulab-NAME-DATE.zip.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what would change.")]


@session_command(app)
def show(session: Session) -> None:
    """Show your name, role and limits."""
    from gpulab.cli.tables import print_facts

    found = session.client.me()
    if session.as_json:
        print_json(found)
        return
    given = found.model_dump(exclude={"teaches", "weight"})
    limits = [(name.replace("_", " "), value) for name, value in given.items()]
    print_facts([*limits, ("share", None if found.weight == 1 else f"{found.weight:g}")])


@session_command(app, "export")
def export_me(session: Session, to: To = None) -> None:
    """Write all data that the lab has about you into a zip."""
    me = session.client.me()
    _export(session, me.id, me.name, to)


@session_command(users, "export")
def export_user(session: Session, user: User, to: To = None) -> None:
    """Write all data that the lab has about a user into a zip. For admins."""
    found = find_user(session, user)
    _export(session, found.id, found.name, to)


@session_command(users)
def anonymise(session: Session, user: User, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Replace a user's name by a pseudonym everywhere. Runs and grades stay. It cannot be undone. For admins."""
    _erase(session, find_user(session, user), Erasure.ANONYMISE, dry_run=dry_run, yes=yes)


@session_command(users)
def delete(session: Session, user: User, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Delete a user with runs, programs, submissions and grades. It cannot be undone. For admins."""
    _erase(session, find_user(session, user), Erasure.DELETE, dry_run=dry_run, yes=yes)


def _export(session: Session, user_id: "UUID", name: str, to: Path | None) -> None:
    from gpulab.cli.tables import byte_size

    safe = "".join(sign if sign.isalnum() else "-" for sign in name)
    path = session.client.users.export(user_id, to or Path(f"gpulab-{safe}-{datetime.now().astimezone():%Y-%m-%d}.zip"))
    if session.as_json:
        print_json({"file": str(path), "size_bytes": path.stat().st_size})
    else:
        print(f"{path}  {byte_size(path.stat().st_size)}")


def _erase(session: Session, user: "UserRead", mode: Erasure, *, dry_run: bool, yes: bool) -> None:
    about = session.client.users.erase(user.id, mode, dry_run=True)
    if not session.as_json:
        _print_counts(user, about)
    if not dry_run:
        _confirm(session, user, mode, yes=yes)
        about = session.client.users.erase(user.id, mode)
    if session.as_json:
        print_json(about)
    elif dry_run:
        print("Nothing was changed.")
    else:
        print("Done. They cannot sign in any more; the rest follows within minutes.")


def _print_counts(user: "UserRead", about: "ErasureRead") -> None:
    from gpulab.cli.tables import byte_size, print_facts

    names = ("runs", "live_runs", "studies", "submissions", "grades", "programs", "tokens", "audit_events")
    facts = [(name.replace("_", " "), getattr(about, name)) for name in names]
    print_facts([("user", user.name), *facts, ("files", f"{about.files}, {byte_size(about.file_bytes)}")])


def _confirm(session: Session, user: "UserRead", mode: Erasure, *, yes: bool) -> None:
    """Nobody deletes a user by a slip: without a terminal it takes --yes. Raises BadInput, `typer.Abort`."""
    if yes:
        return
    if session.as_json or not sys.stdin.isatty():
        raise BadInput(f"this cannot be undone; add --yes to {mode} {user.name}")
    print(f"Export their data first if anybody may need it: gpulab users export {user.id}")
    typer.confirm(f"{mode.capitalize()} {user.name}? It cannot be undone.", abort=True)
