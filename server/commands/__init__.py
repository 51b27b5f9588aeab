"""The commands of `gpulab` that need the server's side. `gpulab.cli` adds them if this folder is installed."""

from collections.abc import Callable

import typer

from server.commands import backup, service
from server.commands.doctor import doctor
from server.commands.reproduce import reproduce
from server.commands.restore import restore
from server.commands.scheduler import scheduler
from server.commands.share import share
from server.commands.up import up
from server.commands.worker import worker

COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    "reproduce": reproduce,
    "up": up,
    "doctor": doctor,
    "worker": worker,
    "share": share,
    "scheduler": scheduler,
    "backup": backup.app,
    "restore": restore,
    "service": service.app,
}
