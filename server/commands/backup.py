"""`gpulab backup`."""

from pathlib import Path
from typing import Annotated

import typer


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the backup.")],
    data: Annotated[Path, typer.Option(help="Folder of the lab, unless DATABASE_URL is set.")] = Path(".lab"),
) -> None:
    """Write everything a lab knows into a new folder: the database at one moment, and the files of its runs.

    The lab goes on meanwhile; one that is not up has its database started for this. With DATABASE_URL and
    GPULAB_ARTIFACTS_URL set, it is the lab on those servers."""
    from server.lab_database import call, database_of
    from server.up import LabError

    try:
        with database_of(data, may_run=True) as env:
            status = call("migrations.backup", folder, env)
    except LabError as error:
        typer.echo(f"gpulab backup: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(status)
