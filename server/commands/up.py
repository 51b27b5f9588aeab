"""`gpulab up`."""

import json
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from server.up import LabError, LabOptions, LocalLab, Ready


def up(
    data: Annotated[Path, typer.Option(help="Folder that holds everything; made when absent.")] = Path(".lab"),
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the API and dashboard; 0 takes a free one.")] = (
        8000
    ),
    slots: Annotated[int | None, typer.Option(min=1, help="CPU jobs at once; one a core where absent.")] = None,
    datasets: Annotated[Path | None, typer.Option(help="Folder of data sets; DATA/datasets where absent.")] = None,
    emulate: Annotated[
        str | None, typer.Option(metavar="CARDS", help="Pretend to have these GPUs, as T4,T4: memory without a GPU.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line on stdout once ready.")] = False,
) -> None:
    """Bring up a whole lab on this machine and stay in the foreground until Ctrl-C.

    PostgreSQL, Redis, scheduler, worker and API start as children and are started again when they die. DATABASE_URL and
    REDIS_URL in the environment replace the embedded servers. Stopping loses nothing: start again on the same folder.
    """
    lab = LocalLab(LabOptions(data, host, port, slots, datasets, emulate), lambda line: typer.echo(line, err=True))
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
  stop     Ctrl-C; nothing is lost, start again on the same folder

Try it from another terminal:
  export GPULAB_URL={ready.url} GPULAB_TOKEN_FILE={quote(str(ready.token_file))}
  gpulab experiments
"""
    )
