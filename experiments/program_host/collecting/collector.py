"""Takes what a program leaves in its folder: TensorBoard's event files and `outputs/`."""

import errno
import time
from pathlib import Path

from experiments.hosting.run_directory import RunDirectory
from experiments.program_host.collecting.outputs import Outputs
from experiments.program_host.collecting.tensorboard import EventFiles
from experiments.program_host.collecting.unkept import UnkeptFiles

INTERVAL_SECONDS = 1.0
MAX_SHARE = 0.05
"""Of the time; a program with files without end costs its own turns, and no processor."""


class Collector:
    """`turn` may be called at any time and mostly does nothing; `finish` once, when the program has ended."""

    def __init__(self, run: RunDirectory, work: Path, start: Path) -> None:
        """`start`: the folder in which the program starts, which has its `outputs/`."""
        self._parts = (EventFiles(run, work), Outputs(run, start), UnkeptFiles(run, work, start))
        self._run = run
        self._due = 0.0

    def turn(self) -> None:
        began = time.monotonic()
        if began < self._due:
            return
        for part in self._parts:
            try:
                part.turn()
            except OSError:
                continue  # the next turn tries again, and the last one says why not
        took = time.monotonic() - began
        self._due = began + max(INTERVAL_SECONDS, took / MAX_SHARE)

    def finish(self) -> None:
        for part in self._parts:
            try:
                part.finish()
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                    raise
                self._run.record("warning", message=f"not all files were kept: {error.strerror}")
