"""What every kind of program has around it: its order, its run, its folder, and how it ended."""

import os
import re
import signal
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.wire import RunOrder
from experiments.program_host.collecting.collector import Collector

SIGNAL_STATUS = 128
"""A shell's way to say by which signal a process ended."""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LOG = 2
"""The descriptor of all that a program and its host print: a file, in a lab."""
TAIL_BYTES = 4096
"""Of the log, in which the last line is looked for."""
MAX_LINE_CHARACTERS = 300
OWN_LINES = ("$ ", "--- cell ")
"""Those that the host prints itself begin so."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    status: int
    """Its exit status; negative for the signal that ended it."""
    error: dict[str, Any] | None = None
    """The fields of the run's last record where it failed."""
    has_stopped: bool = False
    """Whether it ended because it was asked to."""
    message: str = ""
    value: dict[str, Any] | None = None
    """The result, if it is not the program's own."""

    @property
    def exit_status(self) -> int:
        return self.status if self.status >= 0 else SIGNAL_STATUS - self.status


@dataclass(slots=True)
class Session:
    """One run of a program, seen from its host."""

    order: RunOrder
    run: RunDirectory
    work: Path
    collector: Collector
    is_stopping: bool = False
    pass_on: Callable[[int], None] = field(default=lambda _: None)
    """Sends a signal to the program; set while there is one."""

    def hear_signals(self) -> None:
        """From now on SIGTERM and SIGINT go to the program."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())

    def stop(self) -> None:
        self.is_stopping = True
        self.pass_on(signal.SIGTERM)


def died(status: int, what: str) -> dict[str, Any]:
    """The last record of a program that did not say why it ended."""
    if status >= 0:
        return {"message": ended_with(status, what)}
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = "; the usual reason is that the machine ran out of memory" if -status == signal.SIGKILL else ""
    return {"message": f"{what} was ended by {name}{hint}; see the log"}


def ended_with(status: int, what: str) -> str:
    """For a program that ended by an exit code: what it printed last mostly says why."""
    return f"{what} ended with exit code {status}{f': {line}' if (line := last_line()) else '; see the log'}"


def last_line() -> str:
    """What was printed last; empty where the log is no file, or nothing was."""
    try:
        found = os.fstat(LOG)
        if not stat.S_ISREG(found.st_mode):
            return ""
        tail = os.pread(LOG, TAIL_BYTES, max(0, found.st_size - TAIL_BYTES)).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = (ANSI.sub("", line).strip() for line in re.split(r"[\r\n]", tail))
    last = next((line for line in reversed(list(lines)) if line), "")
    return "" if last.startswith(OWN_LINES) else last[:MAX_LINE_CHARACTERS]


def send(pid: int, number: int, *, group: bool = False) -> None:
    """A signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(pid, number)
