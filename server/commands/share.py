"""`gpulab share`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def share(
    data: Annotated[Path, typer.Option(help="Folder of the lab.")] = Path(".lab"),
    renew: Annotated[
        bool, typer.Option("--renew", help="Replace the line: the old one lets no machine in. Those that joined stay.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the line that joins another machine to the lab of `gpulab up --share`.

    It holds a secret: who has it can let machines in. `gpulab nodes token NAME --revoke` withdraws a machine.
    """
    from server.joining.identity import Identity

    identity = Identity(data.absolute() / "share")
    try:
        line = identity.line
        if renew:
            identity.renew_secret()
            line = identity.line
    except FileNotFoundError as error:
        typer.echo(f"gpulab share: {data} was never shared: start the lab with gpulab up --share", err=True)
        raise typer.Exit(1) from error
    except (OSError, ValueError) as error:
        typer.echo(f"gpulab share: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps({"join": str(line)}) if as_json else f"gpulab worker --join {line}")
