"""`gpulab worker`."""

import socket
from pathlib import Path
from typing import Annotated

import typer


def worker(
    name: Annotated[str | None, typer.Option(help="Name of this machine in the lab. Default: the host name.")] = None,
    data: Annotated[Path, typer.Option(help="Folder for running jobs and caches, on a local disk.")] = (
        Path(".lab-worker")
    ),
    datasets: Annotated[Path | None, typer.Option(help="Folder of data sets. Default: DATA/datasets.")] = None,
    slots: Annotated[int | None, typer.Option(min=0, help="CPU jobs at the same time. Default: one per core.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token from `gpulab nodes token NAME`.")] = None,
) -> None:
    """Join this machine to a lab and run jobs until Ctrl-C. Running jobs then continue elsewhere.

    The lab is found by DATABASE_URL, REDIS_URL and GPULAB_ARTIFACTS_URL in the environment. They hold passwords, so
    they are not options. Needs the worker extra.
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
