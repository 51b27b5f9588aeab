"""Child processes that cannot outlive their parent, and the lock that keeps two programs off one folder."""

import ctypes
import errno
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def spawn(
    argv: Sequence[str | Path],
    *,
    log: IO[bytes] | int,
    death_signal: signal.Signals,
    account: tuple[int, int] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start `argv` as a child that gets `death_signal` when this process dies, however it dies.

    The kernel ties that signal to the *thread* that started the child: call this from a thread that lives as long as
    the child should, which is the main thread. The child leads its own session, so Ctrl-C in a terminal reaches only
    the parent, which then stops its children in order. `account` runs the child as that user and group
    (root only).
    """
    parent = os.getpid()
    return subprocess.Popen(
        [str(part) for part in argv],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=cwd,
        pass_fds=pass_fds,
        start_new_session=True,
        # Runs after the change of user, which would clear the setting.
        preexec_fn=lambda: die_with_parent(parent, death_signal),  # noqa: PLW1509  # one system call, no lock
        user=account[0] if account else None,
        group=account[1] if account else None,
        extra_groups=[] if account else None,
    )


def die_with_parent(parent: int, death_signal: signal.Signals) -> None:
    """In a new child of `parent`: get that signal when it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before the kernel knew


def stop_process(process: "subprocess.Popen[bytes]", *steps: tuple[signal.Signals, float]) -> int:
    """Send each signal in turn, waiting its seconds for the end, then SIGKILL. Returns the exit status."""
    for number, grace_seconds in steps:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            return process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return process.wait()


def tail(path: Path, lines: int = 10) -> str:
    """The last `lines` lines of a log, or an empty string where none can be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def last_reason(path: Path) -> str:
    """The last reason that a program gave in its log of JSON lines, as the end of a sentence; empty without one."""
    for line in reversed(tail(path, 50).splitlines()):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and isinstance(said.get("reason"), str):
            return f" ({said['reason'][:300]})"
    return ""


class FolderInUseError(RuntimeError):
    """Another live process holds the folder's lock."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(f"{path.parent} is in use by another process (pid {pid or 'unknown'})")
        self.pid = pid


class FolderLock:
    """An advisory lock file holding its owner's pid. The kernel releases it when the owner dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock, or raise `FolderInUseError` naming the process that holds it."""
        if self._file is not None:
            return
        file = self.path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read().strip()
            file.close()
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            raise FolderInUseError(self.path, pid) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back. The file stays: deleting it would let two owners lock two different files."""
        if self._file is not None:
            self._file.close()
            self._file = None
