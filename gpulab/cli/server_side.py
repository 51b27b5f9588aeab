"""What a checkout or an image adds to the command line. A student's installation has none of it.

This is the only place where `gpulab` imports from the server's side, and the import rules name it.
"""

from collections.abc import Callable
from pathlib import Path

import typer

INSTALLED = (Path(__file__).parents[2] / "server" / "commands").is_dir()
"""Searched next to this package: a folder of that name elsewhere belongs to another project."""


def server_commands() -> dict[str, Callable[..., None] | typer.Typer]:
    """The commands, and groups of commands, that bring a lab up and look after it, by name."""
    if not INSTALLED:
        return {}
    from server.commands import COMMANDS

    return COMMANDS


def local_run() -> Callable[..., None] | None:
    """What carries out `gpulab run --local`; None where the experiments are not installed."""
    if not INSTALLED:
        return None
    from server.local_run import run_here

    return run_here
