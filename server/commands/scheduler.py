"""`gpulab scheduler`."""

import typer


def scheduler() -> None:
    """Run a scheduler until Ctrl-C. One leads; any others, on any machine, take over when it ends.

    DATABASE_URL, REDIS_URL and GPULAB_ARTIFACTS_URL in the environment say where the lab is. Needs a checkout with the
    server extra.
    """
    from server.lab_process import LabProcessError, become

    try:
        become("scheduler", {})
    except (LabProcessError, OSError) as error:
        typer.echo(f"gpulab scheduler: {error}", err=True)
        raise typer.Exit(2) from error
