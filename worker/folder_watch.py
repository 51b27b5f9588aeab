"""Measures repeatedly what a node's folders take, in a separate thread, because a disk may answer late."""

import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from gpulab.threads import VitalThread
from models.folders import folder_use

MIN_PAUSE_SECONDS = 60.0
PAUSES_PER_LOOK = 20
"""A look that takes long is followed by a pause that is longer by this factor."""


class FolderWatch:
    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._stop = Event()
        self._found: dict[str, dict[str, int]] = {}
        self._thread = VitalThread("folders", self._run, until=self._stop)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """One that hangs in the file system is left behind as a daemon."""
        self._stop.set()

    def latest(self) -> dict[str, dict[str, int]]:
        """`size_bytes` and `free_bytes` by name; nothing before the first look."""
        return self._found

    def look(self) -> None:
        """Look once. The thread does this; so may a test that has not started it."""
        self._found = {
            name: {"size_bytes": use.size_bytes, "free_bytes": use.free_bytes}
            for name, folder in self._folders.items()
            if (use := folder_use(folder)) is not None
        }

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self.look()
            self._stop.wait(max(MIN_PAUSE_SECONDS, PAUSES_PER_LOOK * (time.monotonic() - began)))
