"""`gpulab cancel` and `gpulab retry`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.each import each
from gpulab.cli.failures import BadInput
from gpulab.cli.lab import LAST_JOB, Lab, lab_command, print_json
from gpulab.errors import Conflict
from gpulab.states import STATE_WORDS, JobState
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.client import Job

app = typer.Typer()

UNFINISHED = (JobState.QUEUED, JobState.LEASED, JobState.RUNNING)
"""Jobs that wait are cancelled first: otherwise the lab would start them as the running ones end."""


@lab_command(app)
def cancel(
    lab: Lab,
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB...]", help="Ids of jobs; @last is your newest.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All your jobs that have not ended.")] = False,
    tag: Annotated[str | None, typer.Option(help="Your jobs with this tag that have not ended.")] = None,
    study: Annotated[
        str | None, typer.Option(help="Your jobs of this study that have not ended; @last is the newest study.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Ask the lab to end jobs; what they recorded is kept."""
    if bool(jobs) == bool(everything or tag or study):
        raise BadInput("name jobs by their ids, or choose them with --all, --tag or --study")
    if jobs:
        each(lab, jobs, lambda name: lab.job(name).cancel(), _cancelled, lambda job: job.data)
        return
    chosen = _unfinished(lab, tag, study)
    if not chosen and not lab.as_json:
        print("no jobs to cancel")
        return
    if not (yes or lab.as_json) and sys.stdin.isatty():
        typer.confirm(f"Cancel {counted(len(chosen), 'job')}?", abort=True)
    each(lab, chosen, lambda name: _cancel(chosen[name]), _cancelled, lambda job: job.data)


@lab_command(app)
def retry(
    lab: Lab, jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs; @last is your newest.")]
) -> None:
    """Queue the same runs again as new jobs."""
    if len(jobs) == 1 and lab.as_json:
        print_json(lab.job(jobs[0]).retry().data)
        return
    # Looked up before the first is queued, which would be the newest then.
    names = [str(lab.job(name).id) if name == LAST_JOB else name for name in jobs]
    each(lab, names, lambda name: lab.job(name).retry(), _queued, lambda job: job.data)


def _unfinished(lab: Lab, tag: str | None, study: str | None) -> "dict[str, Job]":
    found: dict[str, Job] = {}
    # Not the name, which somebody else may have too.
    owner = str(lab.client.me().id)
    of_study = None if study is None else lab.study(study).id
    for state in UNFINISHED:
        for job in lab.client.jobs(state=state, owner=owner, tag=tag, study=of_study):
            found.setdefault(str(job.id), job)
    return found


def _cancel(job: "Job") -> "Job":
    try:
        return job.cancel()
    except Conflict:
        # It ended between the list and now, which is what was wanted.
        return job.refresh()


def _cancelled(job: "Job") -> str:
    return f"{job.id}  {STATE_WORDS[job.state] if job.is_final else 'asked to end'}"


def _queued(job: "Job") -> str:
    return f"{job.id}  {job.experiment} {STATE_WORDS[job.state]}"
