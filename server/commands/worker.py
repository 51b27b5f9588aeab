"""`gpulab worker`."""

import socket
from pathlib import Path
from typing import Annotated

import typer


def worker(
    name: Annotated[str | None, typer.Option(help="Its name in the lab; the host's name if absent.")] = None,
    data: Annotated[Path, typer.Option(help="Folder for running jobs and caches; local, and this machine's alone.")] = (
        Path(".lab-worker")
    ),
    datasets: Annotated[Path | None, typer.Option(help="Folder of data sets; DATA/datasets if absent.")] = None,
    slots: Annotated[int | None, typer.Option(min=0, help="CPU jobs at once; one a core if absent.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that `gpulab nodes token NAME` made for this machine.")
    ] = None,
) -> None:
    """Join this machine to a lab and run its jobs until Ctrl-C, which hands running jobs on.

    DATABASE_URL, REDIS_URL and GPULAB_ARTIFACTS_URL in the environment say where the lab is; they hold passwords, so
    they are no options. Needs a checkout with the worker extra.
    """
    from server.lab_process import LabProcessError, become

    folder = data.absolute()
    settings = {
        "GPULAB_NODE": name or socket.gethostname(),
        "GPULAB_RUNS_FOLDER": str(folder / "runs"),
        "GPULAB_CACHE_FOLDER": str(folder / "cache"),
        "GPULAB_DATASETS_FOLDER": str((datasets or folder / "datasets").absolute()),
    }
    if slots is not None:
        settings["GPULAB_SLOTS"] = str(slots)
    try:
        if token_file is not None:
            settings["GPULAB_NODE_TOKEN"] = token_file.read_text(encoding="utf-8-sig").strip()
        become("worker", settings)
    except (LabProcessError, OSError) as error:
        typer.echo(f"gpulab worker: {error}", err=True)
        raise typer.Exit(2) from error
