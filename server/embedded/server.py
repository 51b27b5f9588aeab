"""What the embedded servers have in common: one child process on a folder that no other process uses."""

import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from server.child_process import FolderLock, stop_process
from server.embedded.place import socket_folder


class EmbeddedServer(ABC):
    """A server on `folder`, as our child. A subclass starts it."""

    socket_name: ClassVar[str]
    """Of the server's Unix socket in `socket_folder`."""
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]]
    """Sent one after the other, each with the seconds that it has time for."""

    def __init__(self, folder: Path, log_path: Path) -> None:
        self.folder = folder.absolute()
        self.log_path = log_path
        self.socket_folder = socket_folder(self.folder, self.socket_name)
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = FolderLock(self.folder / "lock")

    @abstractmethod
    def start(self) -> None:
        """Bring the server up and return once it answers. Raises `EmbeddedError` or `FolderInUseError`."""

    def stop(self, grace_seconds: float | None = None) -> None:
        """Ask the server to end, then force it. `grace_seconds` replaces the time of the first signal."""
        if self.process is not None:
            (first, seconds), *later = self.stop_signals
            stop_process(self.process, (first, seconds if grace_seconds is None else grace_seconds), *later)
            self.process = None
        if self.socket_folder.parent != self.folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
        self._lock.release()

    def kill(self) -> None:
        """SIGKILL, as a crash would: for tests of what survives."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
