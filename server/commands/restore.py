"""`gpulab restore`."""

from pathlib import Path
from typing import Annotated

import typer


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")],
    data: Annotated[Path, typer.Option(help="Folder of the lab, unless DATABASE_URL is set.")] = Path(".lab"),
) -> None:
    """Restore a backup into a new lab: an empty folder, or the empty database of DATABASE_URL.

    The whole backup is checked before anything is written.
    """
    from server.lab_database import call, database_of
    from server.up import LabError

    try:
        with database_of(data, may_run=False) as env:
            status = call("migrations.restore", folder, env)
    except LabError as error:
        typer.echo(f"gpulab restore: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(status)
