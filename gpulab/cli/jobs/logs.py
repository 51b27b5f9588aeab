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
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job is final.")] = False,
    offset: Annotated[int, typer.Option(help="Byte to start from; -2000 means the last 2000.")] = 0,
    raw: Annotated[bool, typer.Option("--raw", help="Every code as it was printed, also on a terminal.")] = False,
) -> None:
    """Print what a run printed; a terminal gets colours, but no other codes. With --json one object a piece."""
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
    """What a run printed is somebody else's: it may not set this terminal's title, clipboard or screen."""
    harmless = HarmlessText()
    try:
        for text in pieces:
            _write(harmless.feed(text))
    finally:
        _write(harmless.end())


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
