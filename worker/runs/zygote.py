"""Keeps a warm process (`experiments/hosting/zygote.py`) that jobs are forked from, and starts it anew when it is gone.

It is exec'ed, not forked, so neither this process's threads nor its connections exist in it or in a job. The socket
between the two has no name, so there is nothing in /tmp that could be cleaned away.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import finalize

import structlog

from worker.runs.orphans import MARKER, end_marked

PRELOAD = "experiments.hosting.warm"
SECRETS = ("DATABASE_URL", "REDIS_URL", "GPULAB_NODE_TOKEN", "PGPASSWORD")
SECRET_PREFIXES = ("AWS_",)
ANSWER_SECONDS = 20.0
"""A fork takes milliseconds; a zygote that says nothing for this long is frozen."""
REPORT_SECONDS = 10.0
"""How long after the end of a process its zygote may take to say how it ended."""
END_SECONDS = 1.0
"""How long a zygote without a worker may take to end."""
MAX_ANSWER_BYTES = 2**16

log = structlog.get_logger()


class NotStartedError(Exception):
    """A process could not be forked; nothing of it runs. Another try may find another zygote."""


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended."""

    status: int | None
    """Its exit status, negative for the signal that ended it; null if its zygote died too, so it is unknown."""
    words: str = ""
    """What it could not write into its directory, because of the disk."""


class JobProcess:
    """One job's process group. `wait`, `stop` and `kill` may be called from the thread that supervises it."""

    def __init__(self, pid: int, pidfd: int, reply: socket.socket, server: "_Server") -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._reply = reply
        self._server = server  # while a job lives, its zygote must hear that the worker does
        self._end: End | None = None
        self._lock = Lock()
        finalize(self, os.close, pidfd)
        finalize(self, reply.close)

    def wait(self, timeout_seconds: float) -> bool:
        """Whether the process has ended, after at most `timeout_seconds`."""
        return _readable(self._pidfd, timeout_seconds)

    @property
    def end(self) -> End | None:
        """Null while it runs. The process itself shows that it ended, and its zygote reports how."""
        if not self.wait(0):
            return None
        with self._lock:
            if self._end is None:
                self._end = self._ask()
            return self._end

    def _ask(self) -> End:
        # The kernel's word of the status passes through the zygote. Where that is gone its socket ends without one, so
        # no status that a program chose can be taken for it.
        try:
            answer, _ = _answer(self._reply, REPORT_SECONDS)
        except NotStartedError:
            return End(None)
        return End(answer["status"], answer["words"])

    def stop(self) -> None:
        """Ask it to end: SIGTERM to the process itself, which checkpoints and stops its children."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)


class Zygote:
    """Starts job processes. `runs` is the folder of their directories; `preload` the module that they find loaded.

    With `predicts`, its jobs can predict GPU memory, and never see a real GPU.
    """

    def __init__(self, runs: Path, preload: str = PRELOAD, *, predicts: bool = False) -> None:
        self._preload = preload
        self._purpose = "predicts" if predicts else "runs"
        self._runs = runs.resolve()
        self._server: _Server | None = None
        self._lock = Lock()

    def warm(self) -> None:
        """Start the zygote; it imports torch in the background, and jobs started meanwhile wait for it."""
        _forget_secrets()
        self._living()

    @property
    def pid(self) -> int:
        return self._living().pid

    def await_warm(self, timeout_seconds: float | None = None) -> bool:
        """Whether the imports are done, so that `start` returns at once; waits for at most this long."""
        return self._living().await_warm(timeout_seconds)

    def start(self, folder: Path, visible_gpus: str) -> JobProcess:
        """Fork a job that runs what `folder/spec.json` says. Raises `NotStartedError`: nothing of it runs."""
        server = self._living()
        server.await_warm(None)
        try:
            return server.fork({"folder": str(folder), "visible_gpus": visible_gpus})
        except NotStartedError as error:
            log.warning("zygote.failed", pid=server.pid, reason=str(error))
            self._leave(server)
            raise

    def _living(self) -> "_Server":
        with self._lock:
            if self._server is not None and self._server.is_gone():
                log.warning("zygote.gone", pid=self._server.pid, status=self._server.status)
                # What its jobs left behind has no parent any more.
                end_marked(self._server.marker)
                self._server = None
            if self._server is None:
                self._server = _Server(f"{self._runs}:{uuid4().hex}", self._preload, self._purpose)
            return self._server

    def _leave(self, server: "_Server") -> None:
        """Ask no more of a zygote that does not answer. Its jobs go on, and it ends with the last of them."""
        with self._lock:
            if self._server is server and not server.is_gone():
                self._server = None


class _Server:
    """One zygote. It ends when this object does: nothing else holds our end of its socket."""

    def __init__(self, marker: str, preload: str, purpose: str) -> None:
        self.marker = marker
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(ANSWER_SECONDS)
        self._ready, ready = os.pipe()
        finalize(self, os.close, self._ready)
        with theirs:
            try:
                self._process = _spawn(theirs.fileno(), ready, marker, preload, purpose)
            finally:
                os.close(ready)
        finalize(self, _let_go, self._control, self._process)
        self.pid = self._process.pid

    @property
    def status(self) -> int | None:
        return self._process.returncode

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def await_warm(self, timeout_seconds: float | None) -> bool:
        """One that died meanwhile counts as warm: the next fork shows it."""
        return _readable(self._ready, timeout_seconds)

    def fork(self, request: Mapping[str, str]) -> JobProcess:
        reply, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(self._control, [json.dumps(request).encode()], [theirs.fileno()])
            answer, fds = _answer(reply, ANSWER_SECONDS)
            if "pid" not in answer:
                raise NotStartedError(f"the machine could not start another process: {answer['refused']}")
            reply.send(b"y")
        except OSError as error:
            reply.close()
            raise NotStartedError(f"the zygote has ended: {error}") from error
        except NotStartedError:
            reply.close()
            raise
        return JobProcess(answer["pid"], fds[0], reply, self)


def _let_go(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    """No job of it lives and none will be asked for."""
    control.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _spawn(control: int, ready: int, marker: str, preload: str, purpose: str) -> "subprocess.Popen[bytes]":
    # libgomp's threads spin while they wait, which takes the cores from the other jobs and can make all of them ten
    # times slower. It reads this once, when torch is loaded.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, MARKER: marker}
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.hosting.zygote", str(control), str(ready), preload, purpose],
        stdin=subprocess.DEVNULL,
        env=environment,
        pass_fds=(control, ready),
    )


def _answer(reply: socket.socket, timeout_seconds: float) -> tuple[dict[str, Any], list[int]]:
    """The next message of a zygote; `NotStartedError` where there is none."""
    reply.settimeout(timeout_seconds)
    try:
        data, fds, _, _ = socket.recv_fds(reply, MAX_ANSWER_BYTES, 1)
    except TimeoutError:
        raise NotStartedError(f"the zygote did not answer within {timeout_seconds:g} s") from None
    except OSError as error:
        raise NotStartedError(f"the zygote has ended: {error}") from error
    if not data:
        raise NotStartedError("the zygote has ended")
    return json.loads(data), fds


def _readable(fd: int, timeout_seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if timeout_seconds is None else timeout_seconds * 1000))


def _forget_secrets() -> None:
    """Jobs inherit the environment and run students' code. The worker has read its secrets by now."""
    for name in list(os.environ):
        if name in SECRETS or name.startswith(SECRET_PREFIXES):
            del os.environ[name]
