"""`gpulab watch`: a job until it is final, live on a terminal, as lines elsewhere."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import ExitCode
from gpulab.cli.session import JobId, Session, print_json, session_command
from gpulab.states import STATE_WORDS, JobState, why_words

if TYPE_CHECKING:
    from gpulab.cli.live.card import Glance
    from gpulab.cli.live.keys import ReadKeys
    from gpulab.client import Job

app = typer.Typer()

Wait = Annotated[bool, typer.Option("--wait", help="Wait until it ends; exit with 1 unless it succeeds.")]
GLANCE_SECONDS = 0.5
TIMEOUT_SECONDS = 120.0
CURVE_POINTS = 400


@session_command(app)
def watch(session: Session, job: JobId) -> None:
    """Follow a run to its end. Exits with 1 unless it succeeds. With --json, prints one object per change."""
    follow_to_end(session, session.job(job), each_change=True)


def follow_to_end(session: Session, job: "Job", *, each_change: bool) -> None:
    """Show the job until it is final, then leave with its exit code."""
    from gpulab.cli.tables import console

    if session.as_json:
        job.wait(on_change=lambda seen: print_json(seen.data) if each_change else None)
        if not each_change:
            print_json(job.data)
    elif console().is_terminal:
        _watch_live(job)
    else:
        _watch_lines(job)
    if job.state != "succeeded":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _watch_lines(job: "Job") -> None:
    last = ""

    def show(seen: "Job") -> None:
        nonlocal last
        line = describe(seen)
        if line != last:
            print(line, flush=True)
        last = line

    job.wait(on_change=show)


def _watch_live(job: "Job") -> None:
    from rich.live import Live

    from gpulab.cli.live.card import card
    from gpulab.cli.live.keys import keyboard
    from gpulab.cli.tables import console

    print(job.id)
    out = console()
    # The card is cut to the screen: what overflowed could not be drawn over again.
    with keyboard() as read_keys, Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
        for glance in glances(job, read_keys):
            live.update(card(glance, *out.size), refresh=True)


def glances(job: "Job", read_keys: "ReadKeys") -> "Iterator[Glance]":
    """What there is to see of the job, about twice a second, the last time when it is final.

    Raises KeyboardInterrupt for `q`, and what the lab said when it was away for `TIMEOUT_SECONDS`.
    """
    from gpulab.cli.live.card import Glance
    from gpulab.cli.live.overview import PASSING

    glance = Glance(job.data)
    last_answer_at = time.monotonic()
    while True:
        try:
            job.refresh(patience_seconds=0)
            waits = job.state == JobState.QUEUED
            glance = Glance(
                job.data, job.metrics(max_points=CURVE_POINTS, since=glance.metrics), job.queue() if waits else None
            )
            last_answer_at = time.monotonic()
        except PASSING as away:
            if time.monotonic() - last_answer_at > TIMEOUT_SECONDS:
                raise
            glance = replace(glance, trouble=str(away))
        yield glance
        if job.is_final and glance.trouble is None:
            return
        if "quit" in read_keys(GLANCE_SECONDS):
            raise KeyboardInterrupt


def describe(job: "Job") -> str:
    """The job in one line."""
    from gpulab.cli.tables import printable

    parts = [str(job.id), STATE_WORDS[job.state]]
    if job.progress and not job.is_final:
        parts.append(f"{job.progress.fraction:4.0%} {job.progress.message}".rstrip())
    if job.data.attempt > 1:
        parts.append(f"attempt {job.data.attempt}")
    why = why_words(job.cause, job.message)
    return printable("  ".join([*parts, why] if why else parts))
