"""The warm process that jobs are forked from: torch and the catalogue are loaded, and CUDA was never touched.

`worker/runs/zygote.py` starts it and asks it for processes over a socket that has no name. It tells how each one ended,
it adopts what a job leaves behind and ends that, and it ends with the worker, as every job ends with it.
"""

import ctypes
import gc
import json
import mmap
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import process
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

MAX_REQUEST_BYTES = 2**16
WORDS_BYTES = 4096
PREDICTS = "predicts"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SWEEP_SECONDS = 2.0
"""A process that does not die of SIGKILL hangs in the kernel; the next sweep finds it again."""


@dataclass(frozen=True, slots=True)
class Job:
    """A forked process, and the socket for reporting how it ended."""

    pid: int
    pidfd: int
    reply: socket.socket
    words: mmap.mmap
    """Shared with the process, which can leave its last words there when its disk is full."""


class Server:
    """Serves one worker until it is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = DefaultSelector()
        self._selector.register(control, EVENT_READ)
        self._jobs: dict[int, Job] = {}

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._report(key.data)
                elif not self._take_request():
                    return

    def _take_request(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, 1)
        if not data:
            return False
        if not fds:
            # No descriptor was free for the socket: the kernel closed it, and so the worker hears that nothing runs.
            return True
        reply = socket.socket(fileno=fds[0])
        try:
            self._keep(self._fork(json.loads(data), reply))
        except OSError as error:
            _send(reply, refused=str(error))
            reply.close()
        return True

    def _fork(self, request: dict[str, Any], reply: socket.socket) -> Job:
        words = mmap.mmap(-1, WORDS_BYTES)
        pid = os.fork()
        if pid == 0:
            self._be_job(request, reply, words)
        try:
            return Job(pid, os.pidfd_open(pid), reply, words)
        except OSError:
            # It waits for its permission, so that nothing of the job ran.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def _keep(self, job: Job) -> None:
        self._selector.register(job.pidfd, EVENT_READ, job)
        self._jobs[job.pid] = job
        # Where nobody listens any more, the process does not begin: it waits for an answer to this.
        _send(job.reply, [job.pidfd], pid=job.pid)

    def _be_job(self, request: dict[str, Any], reply: socket.socket, words: mmap.mmap) -> None:
        """On the other side of the fork; does not return."""
        from experiments.hosting.host import run_forked

        status = 1
        try:
            os.setsid()
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == 1 or reply.recv(1) != b"y":
                return
            _prctl(PR_SET_CHILD_SUBREAPER, 1)
            self._let_go(reply)
            _keep_sockets_in(Path(request["folder"]))
            run_forked(request["folder"], request["visible_gpus"], lambda said: _leave_words(words, said))
        except OSError as error:
            _leave_words(words, str(error))
        finally:
            os._exit(status)

    def _let_go(self, reply: socket.socket) -> None:
        """Close what belongs to the zygote: the worker learns of its end by the end of these."""
        self._selector.close()
        for each in (self._control, reply, *(job.reply for job in self._jobs.values())):
            each.close()
        for job in self._jobs.values():
            os.close(job.pidfd)
            job.words.close()

    def _report(self, job: Job) -> None:
        """Tell how a process ended, once nothing is left of it."""
        self._selector.unregister(job.pidfd)
        _, status = os.waitpid(job.pid, 0)
        del self._jobs[job.pid]
        os.close(job.pidfd)  # the look for what is left needs a free descriptor
        self._end_left_behind()
        with suppress(OSError):
            # One killed before it began left its permission unread, and that would cut our answer off. The worker may
            # have left its end unread too.
            job.reply.recv(1, socket.MSG_DONTWAIT)
        said = job.words[:].rstrip(b"\0").decode("utf-8", "backslashreplace")
        _send(job.reply, status=os.waitstatus_to_exitcode(status), words=said)
        job.reply.close()
        job.words.close()

    def _end_left_behind(self) -> None:
        """Children that were not forked here are what dead jobs left: each job keeps its own while it lives."""
        deadline = time.monotonic() + SWEEP_SECONDS
        while (left := children_of(os.getpid()) - self._jobs.keys()) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.001)


def children_of(parent: int) -> set[int]:
    """The processes whose parent this is."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - Path objects double the cost
        with suppress(OSError):
            fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            if int(fields[1]) == parent:
                found.add(int(name))
    return found


def _send(reply: socket.socket, fds: list[int] | None = None, **message: Any) -> None:
    with suppress(OSError):  # the worker is gone, or lost its patience
        socket.send_fds(reply, [json.dumps(message).encode()], fds or [])


def _leave_words(words: mmap.mmap, said: str) -> None:
    data = said.encode("utf-8", "backslashreplace")[:WORDS_BYTES]
    words[: len(data)] = data


def _keep_sockets_in(folder: Path) -> None:
    """What multiprocessing keeps in /tmp would be cleaned away under a long run.

    The address of a socket holds 107 bytes, and the path of a run may be longer; by its descriptor it never is.
    """
    own = folder / ".multiprocessing"
    own.mkdir(mode=0o700, exist_ok=True)
    directory = os.open(own, os.O_PATH | os.O_DIRECTORY)
    vars(process.current_process())["_config"]["tempdir"] = f"/proc/{os.getpid()}/fd/{directory}"


def _emulate() -> None:
    """Have the emulated driver, so that jobs can fork processes that predict their memory."""
    from experiments.memory import processes

    processes.take_emulated_driver()


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main(control: int, ready: int, preload: str, purpose: str) -> None:
    """Load everything, say so on `ready`, and serve until the other end of `control` is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to hear
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    if purpose == PREDICTS:
        _emulate()
    gc.disable()  # nothing that imports make is garbage, and looking for some is a tenth of what they cost
    import_module(preload)
    gc.enable()
    os.write(ready, b"y")
    Server(socket.socket(fileno=control)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
    os._exit(0)  # jobs end with it, by their death signal
