"""Control groups, version 2: the kernel counts the processes and the memory of a sandbox as a whole.

Used only where systemd delegates a group to this service (`Delegate=`). Elsewhere, the process that starts a sandbox
watches it.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and https://systemd.io/CGROUP_DELEGATION/.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from uuid import uuid4

from sandbox.policy import Limits

HIERARCHY = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
DELEGATED = ("user.delegate", "trusted.delegate")
"""How systemd marks a group that is no longer its own."""
CONTROLLERS = ("memory", "pids")
LEAF = "lab"
"""Holds the lab's own processes: a group with limits for others may hold none itself."""
PREFIX = "program-"
MOVE_SECONDS = 5.0
REMOVE_SECONDS = 1.0
SWAP = "memory.swap.max"
"""Missing in a kernel without swap."""
LEFT_SECONDS = 60.0
"""An empty group that is younger may be another worker's, whose program is about to start."""


@dataclass(slots=True)
class Group:
    """Of one sandbox. `ran_out_of_memory` and `peak_bytes` are known once it is closed."""

    folder: Path
    memory_bytes: int | None = None
    """Its limit."""
    ran_out_of_memory: bool = False
    peak_bytes: int | None = None
    """Null where the kernel does not report it (before 5.19)."""
    _is_closed: bool = field(default=False, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, pid: int) -> None:
        """With it come all that it starts from now on."""
        (self.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def close(self) -> None:
        """End what is left in it, keep what it counted, and remove it. Nothing happens the second time."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._close()

    def _close(self) -> None:
        with suppress(OSError):  # before Linux 5.14 there is no such file
            (self.folder / "cgroup.kill").write_text("1", encoding="ascii")
        self.ran_out_of_memory = _count(self.folder / "memory.events", "oom_kill") > 0
        with suppress(OSError, ValueError):
            self.peak_bytes = int((self.folder / "memory.peak").read_text(encoding="ascii"))
        _remove(self.folder)


class Groups:
    """The delegated group, below which each sandbox gets one of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def take(cls, hierarchy: Path = HIERARCHY, own: Path = OWN) -> "Groups | None":
        """Prepare the group that was delegated to this service; null where none was, or the kernel refuses.

        Everything in it moves into one group below: so it is called before sandboxes start.
        """
        folder = _delegated(hierarchy, own)
        if folder is None:
            return None
        try:
            _move_down(folder)
            asked = " ".join(f"+{name}" for name in CONTROLLERS)
            (folder / "cgroup.subtree_control").write_text(asked, encoding="ascii")
        except OSError:
            return None
        _sweep(folder)
        return cls(folder)

    def make(self, limits: Limits) -> Group:
        """A group with these limits. Raises `OSError`."""
        group = Group(self._folder / f"{PREFIX}{uuid4().hex}", limits.group_memory_bytes)
        group.folder.mkdir()
        try:
            for name, value in _settings(limits).items():
                if name != SWAP or (group.folder / name).exists():
                    (group.folder / name).write_text(value, encoding="ascii")
        except OSError:
            group.close()
            raise
        return group


def _settings(limits: Limits) -> dict[str, str]:
    found: dict[str, str] = {}
    if limits.group_processes is not None:
        found["pids.max"] = str(limits.group_processes)
    if limits.group_memory_bytes is not None:
        found["memory.max"] = str(limits.group_memory_bytes)
        # Of a program that is cut down in part, the rest would wait for ever.
        found["memory.oom.group"] = "1"
        found[SWAP] = "0"
    return found


def _delegated(hierarchy: Path, own: Path) -> Path | None:
    """The group that this process is in, or the one above it where it moved down before."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    place = next((line[3:] for line in lines if line.startswith("0::")), None)
    if place is None:
        return None
    inner = hierarchy / place.lstrip("/")
    candidates = [inner, inner.parent] if inner.name == LEAF else [inner]
    return next((folder for folder in candidates if _is_ours(folder)), None)


def _is_ours(folder: Path) -> bool:
    if not any(_attribute(folder, name) == b"1" for name in DELEGATED):
        return False
    with suppress(OSError):
        has = (folder / "cgroup.controllers").read_text(encoding="ascii").split()
        return set(CONTROLLERS) <= set(has) and os.access(folder / "cgroup.procs", os.W_OK)
    return False


def _attribute(folder: Path, name: str) -> bytes | None:
    with suppress(OSError):
        return os.getxattr(folder, name)
    return None


def _move_down(folder: Path) -> None:
    """All processes of the service, also those that start meanwhile."""
    leaf = folder / LEAF
    leaf.mkdir(exist_ok=True)
    deadline = time.monotonic() + MOVE_SECONDS
    while pids := (folder / "cgroup.procs").read_text(encoding="ascii").split():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{folder} still has processes")
        for pid in pids:
            with suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(pid, encoding="ascii")


def _sweep(folder: Path) -> None:
    """Groups of a worker that was killed."""
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is in use
            if time.time() - left.stat().st_ctime > LEFT_SECONDS:
                left.rmdir()


def _remove(folder: Path) -> None:
    """The kernel lets go of it a moment after the last process has ended."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while time.monotonic() < deadline:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.005)
        else:
            return


def _count(path: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            word, number = line.split()
            if word == name:
                return int(number)
    return 0
