"""`gpulab backup DIR`, and `gpulab backup verify DIR`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

MAKE = "make"


class _FolderOrCommand(TyperGroup):
    """`gpulab backup /backups` makes one: a first argument that is no command is the folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = [MAKE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FolderOrCommand,
    help="Back up a lab: gpulab backup DIR, or gpulab backup --keep 7 DIR. Verify backups.",
    no_args_is_help=True,
)


@app.command(MAKE)
def make(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder; with --keep, the folder for all of them.")],
    data: Annotated[Path, typer.Option(help="Folder of the lab, unless DATABASE_URL is set.")] = Path(".lab"),
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, help="Make it inside DIR and keep the newest N there; removes older ones after verifying it."
        ),
    ] = None,
) -> None:
    """Back a lab up: its database and the files of its runs. The word `make` may be left out.

    The lab keeps running. If it is not up, its database is started for the backup. If DATABASE_URL and
    GPULAB_ARTIFACTS_URL are set, the lab on those servers is backed up.
    """
    from server.lab_database import call, database_of
    from server.up import LabError

    options = () if keep is None else ("--keep", str(keep))
    try:
        with database_of(data, may_run=True) as env:
            status = call("migrations.backup", folder, env, *options)
    except LabError as error:
        typer.echo(f"gpulab backup: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(status)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A backup, or a folder of them made with --keep.")],
) -> None:
    """Check that a backup can be restored: that everything in it is there and undamaged. Needs no lab."""
    import os

    from server.lab_database import call

    raise typer.Exit(call("migrations.verify", folder, os.environ))
