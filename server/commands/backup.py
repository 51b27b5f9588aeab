"""`gpulab backup`."""

from pathlib import Path
from typing import Annotated

import typer


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the backup.")],
    data: Annotated[Path, typer.Option(help="Folder of the lab, unless DATABASE_URL is set.")] = Path(".lab"),
) -> None:
    """Back a lab up into a new folder: its database and the files of its runs.

    The lab keeps running. If it is not up, its database is started for the backup. If DATABASE_URL and
    GPULAB_ARTIFACTS_URL are set, the lab on those servers is backed up.
    """
    from server.lab_database import call, database_of
    from server.up import LabError

    try:
        with database_of(data, may_run=True) as env:
            status = call("migrations.backup", folder, env)
    except LabError as error:
        typer.echo(f"gpulab backup: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(status)
