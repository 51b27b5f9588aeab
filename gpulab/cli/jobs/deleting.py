"""`gpulab delete`."""

import sys
from typing import Annotated

import typer

from gpulab.cli.failures import ExitCode
from gpulab.cli.session import Session, print_json, session_command
from gpulab.words import counted

app = typer.Typer()

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@session_command(app)
def delete(
    session: Session,
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids or names of runs; @last is your newest.")],
    yes: Yes = False,
) -> None:
    """Delete runs that are over, with their metrics, output and files. It cannot be undone."""
    # Looked up before the first is deleted.
    found = {job.id: name for name in dict.fromkeys(jobs) for job in [session.job(name)]}
    confirm(session, f"Delete {counted(len(found), 'run')} with all their data?", yes=yes)
    done = session.client.users.delete_jobs(list(found))
    if session.as_json:
        print_json(done)
    else:
        for job_id in done.deleted:
            print(f"{job_id}  deleted")
        for kept in done.kept:
            print(f"{kept.job_id}  not deleted: {kept.message}", file=sys.stderr)
    if done.kept:
        raise typer.Exit(ExitCode.REFUSED)


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Ask, where a person can answer. Raises `typer.Abort`."""
    if not (yes or session.as_json) and sys.stdin.isatty():
        typer.confirm(question, abort=True)
