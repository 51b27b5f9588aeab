"""One sandbox that waits with torch loaded, so that a student's program begins at once.

Its folders are its own from the start; the run that takes it gets them by a rename. It serves one run and never
another.
"""

import os
import select
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from uuid import uuid4

import structlog

from gpulab.threads import VitalThread
from worker.programs.process import ProgramProcess, ProgramSandbox
from worker.runs.folder import RunFolder
from worker.runs.zygote import NotStartedError

PREFIX = ".spare-"
PAUSE_SECONDS = 10.0
"""Before another try, where no spare could be made."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Access:
    """What of the node a sandbox was made with; nothing can be added later."""

    gpu_uuids: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    folders: tuple[tuple[int, int] | None, ...] = ()
    """Device and inode of each data set: one that was replaced since is not what the sandbox shows."""


class Spare:
    """A sandbox whose host waits for a line."""

    def __init__(self, folder: RunFolder, access: Access, process: ProgramProcess, order: int, ready: int):
        self.folder = folder
        self.access = access
        self.process = process
        self._order = order
        self._ready = ready

    def is_ready(self) -> bool:
        """Whether torch is loaded."""
        poll = select.poll()
        poll.register(self._ready, select.POLLIN)
        return bool(poll.poll(0)) and not self.process.wait(0)

    def move(self, folder: RunFolder) -> None:
        """Give its folders the run's name; what is mounted inside stays."""
        self.folder.path.rename(folder.path)
        self.folder = folder

    def begin(self) -> ProgramProcess:
        """The order and the files are in their places. Raises `NotStartedError`: nothing of the program ran."""
        try:
            os.write(self._order, b"{}\n")
        except OSError as error:
            self.drop()
            raise NotStartedError(f"the spare sandbox has ended: {error}") from error
        self._close()
        return self.process

    def drop(self) -> None:
        """End it unused."""
        self._close()
        self.process.kill()
        self.process.wait(PAUSE_SECONDS)
        self.folder.remove()

    def _close(self) -> None:
        os.close(self._order)
        os.close(self._ready)


class Spares:
    """Keeps one spare for the GPUs and data sets that the next program is likely to get: those of the last one.

    `take` may be called from any thread.
    """

    def __init__(self, sandbox: ProgramSandbox, runs: Path, memory_bytes: int | None) -> None:
        self._sandbox = sandbox
        self._runs = runs
        self._memory_bytes = memory_bytes
        self._lock = Lock()
        self._spare: Spare | None = None
        self._wanted = Access()
        self._stop = Event()
        self._wake = Event()
        # The sandbox ends with the thread that started it, so one thread makes them all and lives as long as we do.
        self._thread = VitalThread("spare sandboxes", self._run, until=self._stop)

    def start(self, gpu_uuids: Sequence[str]) -> None:
        """Begin to keep one; `gpu_uuids` are those of the node."""
        self._wanted = Access(tuple(gpu_uuids[:1]))
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(PAUSE_SECONDS)

    def take(self, gpu_uuids: Sequence[str], datasets: Sequence[str] = ()) -> Spare | None:
        """A spare for exactly these GPUs and data sets; null where there is none. The next one is made for the same.

        One that still loads torch is given too: it begins sooner than a fresh start, which loads it once more.
        """
        names = tuple(sorted(datasets))
        wanted = Access(tuple(gpu_uuids), names, self._sandbox.identities(names))
        with self._lock:
            spare, self._wanted = self._spare, wanted
            if spare is None or spare.access != wanted or spare.process.wait(0):
                spare = None
            else:
                self._spare = None
        self._wake.set()
        if spare is not None:
            log.info("spare.taken", was_ready=spare.is_ready())
        return spare

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._renew()
            except (NotStartedError, OSError) as error:
                log.warning("spare.not_made", reason=str(error))
                self._stop.wait(PAUSE_SECONDS)
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.drop()

    def _renew(self) -> None:
        with self._lock:
            spare, wanted = self._spare, self._wanted
            if self._stop.is_set() or (spare is not None and spare.access == wanted and not spare.process.wait(0)):
                return
            self._spare = None
        if spare is not None:
            spare.drop()
        made = self._made(wanted)
        with self._lock:
            self._spare = made

    def _made(self, access: Access) -> Spare:
        folder = RunFolder(self._runs / f"{PREFIX}{uuid4().hex}", is_sandboxed=True)
        folder.make()
        reads, order = os.pipe()
        ready, tells = os.pipe()
        try:
            process = self._sandbox.start_spare(
                folder, access.gpu_uuids, self._memory_bytes, access.datasets, reads, tells
            )
        except BaseException:
            os.close(order)
            os.close(ready)
            folder.remove()
            raise
        finally:
            os.close(reads)
            os.close(tells)
        return Spare(folder, access, process, order, ready)
