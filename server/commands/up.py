"""`gpulab up`."""

import json
import os
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from server.backups import BackupPlan
from server.https import Certificate
from server.joining.sharing import DEFAULT_PORT, Sharing
from server.up import LabError, LabOptions, LabRefusedError, LocalLab, Ready


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
        datetime,
        typer.Option(
            formats=["%H:%M"], show_default="03:00", help="Time of day of the backup, in this machine's time zone."
        ),
    ] = datetime(1900, 1, 1, 3, 0),  # noqa: DTZ001 - a time of day
    backup_keep: Annotated[int, typer.Option(min=1, help="Daily backups that are kept.")] = 7,
    share: Annotated[
        bool, typer.Option("--share", help="Let workers of other machines join, by a line that is printed.")
    ] = False,
    share_host: Annotated[
        str | None, typer.Option(help="Address for them. Default: all addresses of this machine; implies --share.")
    ] = None,
    share_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help=f"Port for them; 0 means a free one. Default: {DEFAULT_PORT}."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file with a certificate and its chain: the API then speaks HTTPS.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when the lab is ready.")] = False,
) -> None:
    """Start a whole lab on this machine. It runs until Ctrl-C.

    PostgreSQL, Redis, scheduler, worker and API run as child processes and are restarted if they end. DATABASE_URL and
    REDIS_URL in the environment replace the embedded servers. Stopping loses nothing: start again with the same folder.
    """
    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key belong together: give both")
    https = None if certificate is None or key is None else Certificate(certificate, key)
    backup = None if backup_to is None else BackupPlan(backup_to, backup_at.time(), backup_keep)
    sharing = _sharing(share or share_host is not None or share_port is not None, share_host, share_port)
    options = LabOptions(data, host, port, slots, datasets, emulate, backup, sharing, https)
    lab = LocalLab(options, lambda line: typer.echo(line, err=True))
    try:
        lab.run(_print_json if as_json else _print_summary)
    except LabError as error:
        typer.echo(f"gpulab up: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, LabRefusedError) else 1) from error


def _sharing(wanted: bool, host: str | None, port: int | None) -> Sharing | None:
    if not wanted:
        return None
    return Sharing(host or Sharing().host, DEFAULT_PORT if port is None else port)


def _print_json(ready: Ready) -> None:
    facts = {"url": ready.url, "token_file": str(ready.token_file), "folder": str(ready.folder)}
    more = {} if ready.join_line is None else {"join": ready.join_line}
    typer.echo(json.dumps(facts | {"seconds": round(ready.seconds, 3)} | more))


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
        + ("" if ready.join_line is None else _how_to_join(ready.join_line, ready.folder))
    )


def _how_to_join(line: str, folder: Path) -> str:
    # In a service's log others would read it.
    if "JOURNAL_STREAM" in os.environ:
        return f"The line that joins another machine: gpulab share --data {quote(str(folder))}\n"
    return f"""On another machine, with the same version of gpulab:
  gpulab worker --join {line}
The line holds a secret. `gpulab share --renew` replaces it.
"""
