"""Looks through the folder of data sets again and again.

In a separate thread, because a file system may answer late or never.
"""

import time
from pathlib import Path
from threading import Event

import structlog

from experiments.datasets.inventory import Inventory, built_in_datasets, printable, take_inventory
from gpulab.threads import VitalThread

STALLED_SECONDS = 10.0

log = structlog.get_logger()


class DatasetWatch:
    """Only the first `latest` waits for the file system, and not for long."""

    def __init__(self, folder: Path, interval_seconds: float) -> None:
        self._folder = folder
        self._interval_seconds = interval_seconds
        self._stop = Event()
        self._looked = Event()
        self._found = Inventory((), {})
        self._asked_at = time.monotonic()
        self._answered = True
        self._warned: dict[str, str] = {}
        self._thread = VitalThread("datasets", self._run, until=self._stop)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """One that hangs in the file system is left behind as a daemon."""
        self._stop.set()

    def latest(self) -> Inventory:
        """What the newest look found; what the lab has without the folder, where that does not answer."""
        if not self._looked.wait(STALLED_SECONDS):
            self._looked.set()
        found = self._found
        if not self._answered and time.monotonic() - self._asked_at >= STALLED_SECONDS:
            words = f"no answer from the file system within {STALLED_SECONDS:g} s"
            found = Inventory(tuple(sorted(built_in_datasets())), {printable(str(self._folder)): words})
        self._warn(found)
        return found

    def look(self) -> None:
        """Look once. The thread does this; so may a test that has not started it."""
        self._asked_at, self._answered = time.monotonic(), False
        self._found = take_inventory(self._folder)
        self._answered = True
        self._looked.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._interval_seconds)

    def _warn(self, found: Inventory) -> None:
        for name, reason in found.skipped.items():
            if self._warned.get(name) != reason:
                log.warning("dataset.skipped", name=name, reason=reason)
        self._warned = found.skipped
