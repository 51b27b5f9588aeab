"""`gpulab up`."""

import json
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from server.backups import BackupPlan
from server.up import LabError, LabOptions, LocalLab, Ready


def up(
    data: Annotated[Path, typer.Option(help="Folder of the lab; created if missing.")] = Path(".lab"),
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 means the whole network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the API and dashboard; 0 means a free one.")] = (
        8000
    ),
    slots: Annotated[int | None, typer.Option(min=1, help="CPU jobs at the same time. Default: one per core.")] = None,
    datasets: Annotated[Path | None, typer.Option(help="Folder of data sets. Default: DATA/datasets.")] = None,
    emulate: Annotated[
        str | None,
        typer.Option(metavar="CARDS", help="Emulate these GPUs, such as T4,T4: memory figures without a GPU."),
    ] = None,
    backup_to: Annotated[
        Path | None, typer.Option(help="Back up the lab every day, into this folder. Default: no backups.")
    ] = None,
    backup_at: Annotated[
        datetime, typer.Option(formats=["%H:%M"], help="Time of day of the backup, in this machine's time zone.")
    ] = datetime(1900, 1, 1, 3, 0),  # noqa: DTZ001 - a time of day
    backup_keep: Annotated[int, typer.Option(min=1, help="Daily backups that are kept.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when the lab is ready.")] = False,
) -> None:
    """Start a whole lab on this machine. It runs until Ctrl-C.

    PostgreSQL, Redis, scheduler, worker and API run as child processes and are restarted if they end. DATABASE_URL and
    REDIS_URL in the environment replace the embedded servers. Stopping loses nothing: start again with the same folder.
    """
    backup = None if backup_to is None else BackupPlan(backup_to, backup_at.time(), backup_keep)
    lab = LocalLab(
        LabOptions(data, host, port, slots, datasets, emulate, backup), lambda line: typer.echo(line, err=True)
    )
    try:
        lab.run(_print_json if as_json else _print_summary)
    except LabError as error:
        typer.echo(f"gpulab up: {error}", err=True)
        raise typer.Exit(1) from error


def _print_json(ready: Ready) -> None:
    facts = {"url": ready.url, "token_file": str(ready.token_file), "folder": str(ready.folder)}
    typer.echo(json.dumps(facts | {"seconds": round(ready.seconds, 3)}))


def _print_summary(ready: Ready) -> None:
    typer.echo(
        f"""
The lab is up ({ready.seconds:.1f} s).
  URL      {ready.url}
  token    {ready.token_file} (administrator)
  folder   {ready.folder}
  stop     Ctrl-C; nothing is lost, start again with the same folder

Try it from another terminal:
  export GPULAB_URL={ready.url} GPULAB_TOKEN_FILE={quote(str(ready.token_file))}
  gpulab experiments
"""
    )
