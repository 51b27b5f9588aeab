"""`gpulab --help` lists the commands by what a user wants to do."""

from typing import Any

from typer.core import TyperGroup

TASKS = {
    "Start": ("sign-in", "sign-out", "experiments", "environment", "me", "tokens", "notifications"),
    "Run": ("submit", "run", "estimate", "programs", "study", "reproduce"),
    "Follow": ("status", "jobs", "queue", "watch", "logs", "get", "top"),
    "Change runs": ("cancel", "retry", "rename", "tag", "note", "delete"),
    "Hand in and teach": ("assignments", "roster", "users", "courses", "reserve", "banner"),
    "Machines of the lab": ("nodes", "disk", "errors"),
    "Operate a lab": ("up", "doctor", "worker", "share", "scheduler", "service", "backup", "restore"),
}


class ByTask(TyperGroup):
    """A group whose help has a panel for each task."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        places = {name: task for task, names in TASKS.items() for name in names}
        order = list(places)
        self.commands = dict(sorted(self.commands.items(), key=lambda item: order.index(item[0])))
        for name, command in self.commands.items():
            command.rich_help_panel = places[name]  # type: ignore[attr-defined]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature of the library
        return list(self.commands)
