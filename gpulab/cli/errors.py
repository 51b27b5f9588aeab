"""`gpulab errors`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gpulab.cli.session import Session, print_json, session_command
from gpulab.words import counted

app = typer.Typer()


@session_command(app)
def errors(
    session: Session,
    days: Annotated[int, typer.Option(min=1, max=30, help="Only errors of the last N days.")] = 7,
) -> None:
    """Show what failed in the lab itself, not in runs, and what to do about it. For admins."""
    from gpulab.cli.tables import ago, moment, printable

    since = datetime.now(UTC) - timedelta(days=days)
    found = [each for each in session.client.lab_errors() if each.last_at >= since]
    if session.as_json:
        print_json(found)
        return
    if not found:
        print(f"Nothing failed in the lab within {counted(days, 'day')}.")
    for at, each in enumerate(found):
        if at:
            print()
        seen = f"seen {counted(each.count, 'time')}, last {ago(each.last_at)} ago, first on {moment(each.first_at)}"
        print(printable(f"{each.process} on {each.host}: {each.event}") + (" (warning)" if each.is_warning else ""))
        for line in (each.message, seen, each.advice):
            if line:
                print(f"  {printable(line)}")
