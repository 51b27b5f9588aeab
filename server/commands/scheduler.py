"""`gpulab scheduler`."""

import typer


def scheduler() -> None:
    """Run a scheduler until Ctrl-C. One is the leader; others, on any machine, take over if it ends.

    The lab is found by DATABASE_URL, REDIS_URL and GPULAB_ARTIFACTS_URL in the environment. Needs the server extra.
    """
    from server.lab_process import LabProcessError, become

    try:
        become("scheduler", {})
    except (LabProcessError, OSError) as error:
        typer.echo(f"gpulab scheduler: {error}", err=True)
        raise typer.Exit(2) from error
