"""`gpulab cancel` and `gpulab retry`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.each import each
from gpulab.cli.failures import BadInput
from gpulab.cli.jobs.watch import Wait, follow_to_end
from gpulab.cli.session import LAST_JOB, Session, print_json, session_command
from gpulab.errors import Conflict
from gpulab.states import STATE_WORDS, JobState
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.client import Job

app = typer.Typer()

UNFINISHED = (JobState.QUEUED, JobState.LEASED, JobState.RUNNING)
"""Jobs that wait are cancelled first: otherwise the lab would start them as the running ones end."""


@session_command(app)
def cancel(
    session: Session,
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB...]", help="Ids or names of runs; @last is your newest.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All your runs that have not ended.")] = False,
    tag: Annotated[str | None, typer.Option(help="Your runs with this tag that have not ended.")] = None,
    study: Annotated[
        str | None, typer.Option(help="Your runs of this study that have not ended; @last is the newest study.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Cancel runs. What they recorded so far is kept."""
    if bool(jobs) == bool(everything or tag or study):
        raise BadInput("name the runs, or choose them with --all, --tag or --study")
    if jobs:
        each(session, jobs, lambda name: session.job(name).cancel(), _cancelled, lambda job: job.data)
        return
    chosen = _unfinished(session, tag, study)
    if not chosen and not session.as_json:
        print("You have no runs to cancel.")
        return
    if not (yes or session.as_json) and sys.stdin.isatty():
        typer.confirm(f"Cancel {counted(len(chosen), 'run')}?", abort=True)
    each(session, chosen, lambda name: _cancel(chosen[name]), _cancelled, lambda job: job.data)


@session_command(app)
def retry(
    session: Session,
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids or names of runs; @last is your newest.")],
    wait: Wait = False,
) -> None:
    """Run again, with the same spec and seed."""
    if wait and len(jobs) > 1:
        raise BadInput("--wait follows one run; name only one")
    if wait:
        follow_to_end(session, session.job(jobs[0]).retry(), each_change=False)
        return
    if len(jobs) == 1 and session.as_json:
        print_json(session.job(jobs[0]).retry().data)
        return
    # Looked up before the first is queued, which would be the newest then.
    names = [str(session.job(name).id) if name == LAST_JOB else name for name in jobs]
    each(session, names, lambda name: session.job(name).retry(), _queued, lambda job: job.data)


def _unfinished(session: Session, tag: str | None, study: str | None) -> "dict[str, Job]":
    found: dict[str, Job] = {}
    # Not the name, because another user's study may have it too.
    owner = str(session.client.me().id)
    of_study = None if study is None else session.study(study).id
    for state in UNFINISHED:
        for job in session.client.jobs(state=state, owner=owner, tag=tag, study=of_study):
            found.setdefault(str(job.id), job)
    return found


def _cancel(job: "Job") -> "Job":
    try:
        return job.cancel()
    except Conflict:
        # It ended between the list and now, which is what was wanted.
        return job.refresh()


def _cancelled(job: "Job") -> str:
    return f"{job.id}  {STATE_WORDS[job.state] if job.is_final else 'cancelling'}"


def _queued(job: "Job") -> str:
    return f"{job.id}  {job.experiment} {STATE_WORDS[job.state]}"
