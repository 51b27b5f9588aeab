"""Finds processes of runs whose worker is gone, by a mark that no other process has.

A zygote is started with the mark in its environment. Every process that a run forks shows the same environment, and
every program that a run starts inherits it, in whatever folder, session or group it is. A person's shell in the
folder of the runs has no such mark.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

MARKER = "GPULAB_ZYGOTE"
"""`FOLDER OF THE RUNS:ONE ZYGOTE`."""
TIMEOUT_SECONDS = 5.0

log = structlog.get_logger()


def end_orphans(runs: Path) -> None:
    """Kill what is left of the runs below a folder: their worker is gone, and their writes would be refused."""
    end_marked(f"{runs.resolve()}:")


def end_marked(marker: str) -> None:
    """Kill the processes whose mark begins like this, and those that they start meanwhile."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (found := list(marked(marker))) and time.monotonic() < deadline:
        for pid in found:
            log.warning("orphan.ended", pid=pid)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def marked(marker: str) -> Iterator[int]:
    """Living processes whose mark begins like this."""
    wanted = f"{MARKER}={marker}".encode()
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - Path objects double the cost
        # Gone meanwhile, or another user's: not ours to end. A process that is ending shows nothing.
        with suppress(OSError):
            content = Path(f"/proc/{name}/environ").read_bytes()
            if int(name) != os.getpid() and any(entry.startswith(wanted) for entry in content.split(b"\0")):
                yield int(name)
