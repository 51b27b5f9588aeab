"""`gpulab worker`."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

STDIN = "-"


def worker(
    name: Annotated[str | None, typer.Option(help="Name of this machine in the lab. Default: the host name.")] = None,
    data: Annotated[Path, typer.Option(help="Folder for running jobs and caches, on a local disk.")] = (
        Path(".lab-worker")
    ),
    datasets: Annotated[Path | None, typer.Option(help="Folder of data sets. Default: DATA/datasets.")] = None,
    slots: Annotated[int | None, typer.Option(min=0, help="CPU jobs at the same time. Default: one per core.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token from `gpulab nodes token NAME`.")] = None,
    join: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS#CODE",
            envvar="GPULAB_JOIN",
            show_envvar=False,
            help="Join the lab that printed this line (gpulab up --share); - reads it from standard input.",
        ),
    ] = None,
    join_file: Annotated[Path | None, typer.Option(help="The same, from a file with that line.")] = None,
) -> None:
    """Join this machine to a lab and run jobs until Ctrl-C. Running jobs then continue elsewhere.

    A lab of `gpulab up --share` is joined by its line, once: afterwards the folder knows the lab, and `gpulab worker
    --data DATA` is enough. The line holds a secret. GPULAB_JOIN, --join-file and `--join -` keep it out of the list of
    processes and the shell's history. Another lab is found by DATABASE_URL, REDIS_URL and GPULAB_ARTIFACTS_URL in the
    environment. They hold passwords, so they are not options. Needs the worker extra.
    """
    from server.joining.membership import FILE
    from server.lab_process import LabProcessError, become, become_joined

    folder = data.absolute()
    settings = {
        "GPULAB_RUNS_FOLDER": str(folder / "runs"),
        "GPULAB_CACHE_FOLDER": str(folder / "cache"),
        "GPULAB_DATASETS_FOLDER": str((datasets or folder / "datasets").absolute()),
    }
    if slots is not None:
        settings["GPULAB_SLOTS"] = str(slots)
    try:
        line = _line(join, join_file)
        if line or ((folder / FILE).exists() and not os.environ.get("DATABASE_URL")):
            if token_file is not None:
                raise LabProcessError("--token-file and a join line exclude each other: the line brings a token")
            arguments = ["--data", str(folder), *(() if name is None else ("--name", name))]
            become_joined(arguments, settings | {"GPULAB_JOIN": line})
        if token_file is not None:
            settings["GPULAB_NODE_TOKEN"] = token_file.read_text(encoding="utf-8-sig").strip()
        become("worker", settings | {"GPULAB_NODE": name or socket.gethostname()})
    except (LabProcessError, OSError) as error:
        typer.echo(f"gpulab worker: {error}", err=True)
        raise typer.Exit(2) from error


def _line(join: str | None, join_file: Path | None) -> str:
    """The join line, wherever it is; empty without one. Raises `OSError`."""
    if join_file is not None:
        return join_file.read_text(encoding="utf-8-sig").strip()
    return sys.stdin.readline().strip() if join == STDIN else (join or "").strip()
