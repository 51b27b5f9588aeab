"""A lab for the length of one command: `gpulab up` as a child, gone when the command is."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpulab.errors import LabUnreachable
from server.child_process import spawn, stop_process, tail

READY_SECONDS = 600.0
"""`gpulab up` itself gives up long before."""
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class OwnLab:
    """How to reach it."""

    url: str
    token_file: Path
    folder: Path


@contextmanager
def own_lab(
    folder: Path, *, datasets: Path | None = None, slots: int | None = None, emulate: str | None = None
) -> Iterator[OwnLab]:
    """Bring a lab up on a free port, with everything in `folder`. Raises LabUnreachable with its last words."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_path = folder / "up.log"
    argv = [sys.executable, "-m", "gpulab", "up", "--data", str(folder), "--port", "0", "--json"]
    argv += [] if datasets is None else ["--datasets", str(datasets)]
    argv += [] if slots is None else ["--slots", str(slots)]
    argv += [] if emulate is None else ["--emulate", emulate]
    with log_path.open("wb") as log:
        process = spawn(argv, log=log, death_signal=signal.SIGTERM)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while (ready := _ready(log_path)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabUnreachable(f"the temporary lab did not start: {tail(log_path, 3)}")
            time.sleep(POLL_SECONDS)
        yield OwnLab(ready["url"], Path(ready["token_file"]), folder)
    finally:
        stop_process(process, (signal.SIGTERM, STOP_SECONDS))


def _ready(log_path: Path) -> dict[str, str] | None:
    """What the lab says of itself once it is up: its one line of JSON."""
    for line in log_path.read_text(errors="replace", encoding="utf-8").splitlines(keepends=True):
        if line.startswith('{"url"') and line.endswith("\n"):
            found: dict[str, str] = json.loads(line)
            return found
    return None
