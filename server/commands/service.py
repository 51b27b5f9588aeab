"""`gpulab service install`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run a lab or a worker as a systemd service.", no_args_is_help=True)


@app.callback()
def _service() -> None:
    """Keeps `install` a separate command."""


@app.command()
def install(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND", help="What to run: up, worker or scheduler, with its options.")
    ],
    system: Annotated[
        bool,
        typer.Option("--system", help="A service of the machine, started at boot; needs root. Default: of this user."),
    ] = False,
    account: Annotated[
        str | None, typer.Option(help="Account of a --system service. Default: the account that called sudo.")
    ] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the unit and change nothing.")] = False,
    start: Annotated[bool, typer.Option(help="Start it now and at every boot.")] = True,
) -> None:
    """Write a systemd unit for a lab or a worker, and start it.

    For example: gpulab service install --system -- up --data /srv/lab. Relative paths are read from the current folder.
    Addresses with passwords belong into the environment file that it names, not into the command. The line of
    `worker --join` goes there by itself.
    """
    from server import service_units

    service = service_units.service_of(command, system, account or service_units.default_account(), Path.cwd())
    try:
        service_units.check(service)
        if only_print:
            typer.echo(service_units.unit_text(service), nl=False)
            return
        service_units.write(service)
        typer.echo(f"Wrote {service.path}. Settings: {service.environment_file} (optional, NAME=VALUE lines).")
        if service.join_line:
            typer.echo(f"The join line is in {service.environment_file}, which only its owner can read.")
        run = " ".join(service.systemctl)
        if not start or not service_units.systemd_runs():
            typer.echo(
                f"Start it with: {run} daemon-reload && {run} enable {service.name} && {run} restart {service.name}"
            )
            _warn_of_log_out(system)
            return
        service_units.start(service)
        typer.echo(f"{service.name} runs. Its log: journalctl {'' if system else '--user '}-u {service.name}")
        _warn_of_log_out(system)
    except service_units.ServiceError as error:
        typer.echo(f"gpulab service: {error}", err=True)
        raise typer.Exit(1) from error


def _warn_of_log_out(system: bool) -> None:
    if not system:
        typer.echo("It ends when you log out, and starts when you log in, unless you run: loginctl enable-linger")
