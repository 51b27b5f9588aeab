"""Watches the sandboxes of a node for what no limit of the kernel counts: all processes of one together, their
processor time, and what they write.

The memory of a run is watched by the sampler, as that of every job.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

import structlog

from gpulab.run.files import RECORDS_FILE
from gpulab.states import FailureCause
from gpulab.threads import VitalThread
from models.settings import NodeSettings
from worker.measuring.sessions import live_processes, tree_of
from worker.programs.beneath import TooManyFilesError, disk_use
from worker.runs.folder import RunFolder

PERIOD_SECONDS = 0.1
DISK_SECONDS = 0.5
DISK_SHARE = 10.0
"""Pause between two looks at a run's disk, as a multiple of what the last one took."""
MAX_THREADS = 2**16
MIB = 2**20
IN_MEMORY = ("tmp", "dev/shm")
"""Of a sandbox. A file there takes memory of the kernel, however small it is."""
MAX_SOCKETS = 1000
MAX_DESCRIPTORS = 50_000
"""Of all its processes together. What waits in sockets and pipes takes memory of the kernel, which belongs to no
process."""
SOCKETS = re.compile(r"^sockets: used (\d+)$", re.MULTILINE)
BUBBLEWRAPS = 2
"""Processes of a sandbox that are not the program's, and the first of its tree."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """Of one run of a student's program; zero is no limit."""

    processes: int
    cpu_seconds: float
    disk_bytes: int
    files: int
    output_bytes: int
    records_bytes: int

    @classmethod
    def of(cls, settings: NodeSettings) -> "ProgramLimits":
        return cls(
            processes=settings.program_processes,
            cpu_seconds=settings.program_cpu_seconds,
            disk_bytes=settings.program_disk_bytes,
            files=settings.program_files,
            output_bytes=settings.program_output_bytes,
            records_bytes=settings.program_records_bytes,
        )


@dataclass(frozen=True, slots=True)
class ProgramBreach:
    """A program took more than it may."""

    message: str
    cause: FailureCause = FailureCause.LIMIT_EXCEEDED

    def __str__(self) -> str:
        return self.message


class HiddenProcessError(Exception):
    """A process that keeps its open files from its owner, as one does whose program is a file that nobody may read."""


class TooManyDescriptorsError(Exception):
    """More than `MAX_DESCRIPTORS`."""


@dataclass(slots=True)
class _Watched:
    pid: int
    folder: RunFolder
    on_breach: Callable[[ProgramBreach], None]
    disk_at: float = 0.0
    is_over: bool = False


class ProgramWatch:
    """One thread for all programs of a node. `watch` and `unwatch` may be called from any thread."""

    def __init__(self, limits: ProgramLimits) -> None:
        self._limits = limits
        self._lock = Lock()
        self._watched: dict[int, _Watched] = {}
        self._wake = Event()
        self._thread: VitalThread | None = None

    def watch(self, pid: int, folder: RunFolder, on_breach: Callable[[ProgramBreach], None]) -> None:
        """`pid`: the ancestor of all that runs inside. `on_breach` is called at most once, and must not block."""
        with self._lock:
            self._watched[pid] = _Watched(pid, folder, on_breach)
            if self._thread is None:
                self._thread = VitalThread("programs", self._run)
                self._thread.start()
        self._wake.set()

    def unwatch(self, pid: int) -> None:
        with self._lock:
            self._watched.pop(pid, None)
            if not self._watched:
                self._wake.clear()

    def look(self) -> None:
        """Look once at every program."""
        with self._lock:
            watched = [each for each in self._watched.values() if not each.is_over]
        for each in watched:
            try:
                breach = self._breach(each)
            except OSError as error:
                log.warning("program.not_watched", pid=each.pid, reason=str(error))
                continue
            if breach is not None:
                each.is_over = True
                log.warning("program.limit_exceeded", pid=each.pid, reason=breach.message)
                each.on_breach(breach)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self.look()
            time.sleep(PERIOD_SECONDS)

    def _breach(self, each: _Watched) -> ProgramBreach | None:
        return self._of_processes(each.pid) or self._of_files(each.folder) or self._of_disk(each)

    def _of_processes(self, pid: int) -> ProgramBreach | None:
        tree = tree_of(pid, max_threads=self._limits.processes or MAX_THREADS)
        if self._limits.processes and tree.threads > self._limits.processes:
            return _more(f"more than {self._limits.processes} processes and threads", f"{self._limits.processes}")
        if self._limits.cpu_seconds and tree.cpu_seconds > self._limits.cpu_seconds:
            return _more(f"{tree.cpu_seconds:.0f} s of processor time", f"{self._limits.cpu_seconds:g} s")
        if (sockets := _sockets(tree.pids[1:BUBBLEWRAPS])) > MAX_SOCKETS:
            return _more(f"{sockets} sockets", f"{MAX_SOCKETS}")
        return None

    def _of_files(self, folder: RunFolder) -> ProgramBreach | None:
        limits = self._limits
        sizes = (
            (folder.output, limits.output_bytes, "output"),
            (folder.written_by_run / RECORDS_FILE, limits.records_bytes, "records"),
        )
        for path, limit, what in sizes:
            size = _size(path)
            if limit and size > limit:
                return _more(f"{size / MIB:.0f} MiB of {what}", f"{limit / MIB:.0f} MiB")
        return None

    def _of_disk(self, each: _Watched) -> ProgramBreach | None:
        started = time.monotonic()
        if started < each.disk_at:
            return None
        pids = tree_of(each.pid).pids
        try:
            used = sum(
                disk_use(folder, max_entries=self._limits.files)
                for folder in (each.folder.written_by_run, each.folder.work)
            ) + _deleted_bytes(pids[BUBBLEWRAPS:], each.folder.path.stat().st_dev)
            if _files_in_memory(pids[1:BUBBLEWRAPS]) > self._limits.files:
                raise TooManyFilesError("too many files in /tmp and /dev/shm")
        except TooManyFilesError as error:
            return ProgramBreach(f"it made {error}; a program may make {self._limits.files} files")
        except PermissionError:
            return ProgramBreach("it made a folder unreadable, so its files could not be counted")
        except TooManyDescriptorsError:
            return _more(f"more than {MAX_DESCRIPTORS} open files", f"{MAX_DESCRIPTORS}")
        except HiddenProcessError:
            return ProgramBreach("one of its processes hid its open files, so these could not be counted")
        each.disk_at = time.monotonic() + max(DISK_SECONDS, DISK_SHARE * (time.monotonic() - started))
        if self._limits.disk_bytes and used > self._limits.disk_bytes:
            return _more(f"{used / MIB:.0f} MiB on the disk", f"{self._limits.disk_bytes / MIB:.0f} MiB")
        return None


def _deleted_bytes(pids: Sequence[int], device: int) -> int:
    """Of files that were deleted and are still open: they take room, and no folder names them."""
    found: dict[int, int] = {}
    left = MAX_DESCRIPTORS
    for pid in pids:
        try:
            deleted, seen = _deleted_files(pid, device, left)
            left -= seen
            found |= deleted
        except PermissionError as error:
            if live_processes([pid]):  # one that is ending shows nothing either
                raise HiddenProcessError from error
        except OSError:
            continue  # it ended meanwhile
    return sum(found.values())


def _deleted_files(pid: int, device: int, max_descriptors: int) -> tuple[dict[int, int], int]:
    """Bytes by inode, and the number of descriptors."""
    found: dict[int, int] = {}
    seen = 0
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for seen, entry in enumerate(entries, 1):
            if seen > max_descriptors:
                raise TooManyDescriptorsError
            with suppress(OSError):
                file = entry.stat()
                if file.st_nlink == 0 and file.st_dev == device:
                    found[file.st_ino] = file.st_blocks * 512
    return found, seen


def _sockets(inside: Sequence[int]) -> int:
    """In the network of its own that a sandbox has."""
    for pid in inside:
        with suppress(OSError):
            found = SOCKETS.search(Path(f"/proc/{pid}/net/sockstat").read_text(encoding="ascii"))
            return int(found[1]) if found else 0
    return 0


def _files_in_memory(inside: Sequence[int]) -> int:
    """What the sandbox of this process has in its own `/tmp` and `/dev/shm`."""
    used = 0
    for pid in inside:
        for place in IN_MEMORY:
            with suppress(OSError):
                found = os.statvfs(f"/proc/{pid}/root/{place}")
                used += found.f_files - found.f_ffree
    return used


def _more(used: str, limit: str) -> ProgramBreach:
    return ProgramBreach(f"it used {used}; a program may use {limit}")


def _size(path: Path) -> int:
    """What a file takes; a program may have put a link in its place, or made it long without filling it."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0
