"""`gpulab logs`."""

import sys
from typing import Annotated

import typer

from gpulab.cli.lab import JobId, Lab, lab_command, print_json

app = typer.Typer()


@lab_command(app)
def logs(
    lab: Lab,
    job: JobId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job is final.")] = False,
    offset: Annotated[int, typer.Option(help="Byte to start from; -2000 means the last 2000.")] = 0,
) -> None:
    """Print what a run printed. With --json one object a piece."""
    for text in lab.job(job).logs(follow, offset=offset):
        if lab.as_json:
            print_json({"text": text})
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
