"""`gpulab logs`."""

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from gpulab.cli.jobs.harmless import HarmlessText
from gpulab.cli.session import JobId, Session, print_json, session_command

app = typer.Typer()


@session_command(app)
def logs(
    session: Session,
    job: JobId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Continue until the run has ended.")] = False,
    offset: Annotated[int, typer.Option(help="Start at this byte; -2000 means the last 2,000.")] = 0,
    raw: Annotated[bool, typer.Option("--raw", help="Print every terminal code as it is.")] = False,
) -> None:
    """Print the output of a run. On a terminal, only colour codes pass. With --json, prints one object per piece."""
    pieces = session.job(job).logs(follow, offset=offset)
    if session.as_json:
        for text in pieces:
            print_json({"text": text})
    elif raw or not sys.stdout.isatty():
        for text in pieces:
            _write(text)
    else:
        _print_harmless(pieces)


def _print_harmless(pieces: Iterable[str]) -> None:
    """The output may come from another user's run: it must not set this terminal's title, clipboard or screen."""
    harmless = HarmlessText()
    try:
        for text in pieces:
            _write(harmless.feed(text))
    finally:
        _write(harmless.end())


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
