"""Warm processes: Python's own forkserver, with torch and the catalogue loaded and CUDA never touched.

The forkserver is exec'ed, not forked, so neither this process's threads nor its connections exist in it or in a job.
"""

import os
import signal
from contextlib import suppress
from multiprocessing import connection, forkserver, get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Event, Lock

from experiments.host import run_forked
from gpulab.threads import VitalThread

PRELOAD = ["experiments.warm"]
SECRETS = ("DATABASE_URL", "REDIS_URL", "GPULAB_NODE_TOKEN", "PGPASSWORD")
SECRET_PREFIXES = ("AWS_",)


class JobProcess:
    """One job's process group. `wait`, `stop` and `kill` may be called from the thread that supervises it."""

    def __init__(self, process: ForkServerProcess, lock: Lock) -> None:
        assert process.pid is not None  # noqa: S101 - a started process has one
        self.pid = process.pid
        self._process = process
        self._lock = lock

    def wait(self, timeout_seconds: float) -> bool:
        """Whether the process has ended, after at most `timeout_seconds`."""
        return bool(connection.wait([self._process.sentinel], timeout_seconds))

    @property
    def exit_status(self) -> int | None:
        """Null while it runs; negative is the signal that ended it."""
        with self._lock:
            return self._process.exitcode

    def stop(self) -> None:
        """Ask it to end: SIGTERM to the process itself, which checkpoints and stops its children."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            if self.exit_status is None:
                os.kill(self.pid, signal.SIGKILL)


class Zygote:
    """Starts job processes; the first call of `warm` pays for importing torch."""

    def __init__(self) -> None:
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        # Starting a process polls all others, and two threads must not read one exit status.
        self._lock = Lock()
        self._warm = Event()

    def warm(self) -> None:
        """Start the forkserver; it imports in the background, and jobs forked meanwhile wait for it."""
        # libgomp's threads spin while they wait, which takes the cores from the other jobs and can make all of them ten
        # times slower. It reads this once, when torch is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        _forget_secrets()
        forkserver.ensure_running()
        VitalThread("zygote", self._await_first).start()

    def await_warm(self, timeout_seconds: float | None = None) -> bool:
        """Whether the imports are done, so that `start` returns at once; waits for at most so long."""
        return self._warm.wait(timeout_seconds)

    def _await_first(self) -> None:
        process = self._context.Process(target=int, daemon=False)
        try:
            # It returns when the forkserver has read its imports and forks.
            with self._lock:
                process.start()
            connection.wait([process.sentinel])
        finally:
            # One that cannot be warmed tells so at the next start.
            self._warm.set()

    def start(self, folder: Path, visible_gpus: str) -> JobProcess:
        """Fork a job that runs what `folder/spec.json` says."""
        process = self._context.Process(target=run_forked, args=(str(folder), visible_gpus), daemon=False)
        with self._lock:
            process.start()
        return JobProcess(process, self._lock)


def _forget_secrets() -> None:
    """Jobs inherit the environment, and run what students wrote; whoever needs a secret here has read it by now."""
    for name in list(os.environ):
        if name in SECRETS or name.startswith(SECRET_PREFIXES):
            del os.environ[name]
