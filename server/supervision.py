"""Keeping children alive: start the dead again with growing pauses, give up on the hopeless, wait on signals."""

import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol, Self

from server.child_process import last_reason, spawn, stop_process, tail

DEATHS_LIMIT = 5
DEATHS_WINDOW_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.2
REFUSED_STATUS = 2
"""With it a process of ours says that its settings are at fault."""


class Stopped(Exception):  # noqa: N818  # not an error: it was requested
    """A signal asked this process to end."""


class ChildKeepsDyingError(RuntimeError):
    """One child cannot be kept alive; the message holds the end of its log."""


class ChildRefusedError(ChildKeepsDyingError):
    """A child says that its settings are wrong: another start would not help."""


class Supervised(Protocol):
    """What `Keeper` looks after. The embedded servers fit too."""

    log_path: Path
    process: "subprocess.Popen[bytes] | None"

    def start(self) -> None: ...

    def stop(self) -> None: ...


class LabProcess:
    """A process of ours as a child, its output appended to a log."""

    def __init__(
        self, argv: Sequence[str | Path], log_path: Path, env: Mapping[str, str], cwd: Path, grace_seconds: float = 5.0
    ) -> None:
        self.log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None
        self._argv = list(argv)
        self._env = env
        self._cwd = cwd
        self._grace_seconds = grace_seconds

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = spawn(self._argv, log=log, death_signal=signal.SIGTERM, env=self._env, cwd=self._cwd)

    def stop(self) -> None:
        if self.process is not None:
            stop_process(self.process, (signal.SIGTERM, self._grace_seconds))
            self.process = None


class Keeper:
    """Starts `child` again when it dies, later each time; raises `ChildKeepsDyingError` when that does not help."""

    def __init__(
        self,
        name: str,
        child: Supervised,
        say: Callable[[str], None],
        note: Callable[[str, str], None] = lambda _name, _how: None,
    ) -> None:
        """`note` hears of each death: the name, and how."""
        self.name = name
        self.child = child
        self._say = say
        self._note = note
        self.settled = False
        """Whether the lab was ready once; before that, a child that refuses its settings is not started again."""
        self._deaths: deque[float] = deque(maxlen=DEATHS_LIMIT)
        self._start_at: float | None = None

    def tend(self, now: float) -> None:
        """Look once. `now` is a monotonic time in seconds."""
        if self._start_at is None:
            if self.child.process is not None and (status := self.child.process.poll()) is not None:
                self._note_end(now, status)
        elif now >= self._start_at:
            self._start_at = None
            try:
                self.child.start()
            except (RuntimeError, OSError) as error:
                self._note_death(now, str(error).partition("\n")[0])

    def _note_end(self, now: float, status: int) -> None:
        words = last_reason(self.child.log_path)
        if status == REFUSED_STATUS and not self.settled:
            raise ChildRefusedError(f"{self.name} refused to start{words}; its log is {self.child.log_path}")
        self._note_death(now, f"ended with status {status}{words}")

    def _note_death(self, now: float, how: str) -> None:
        recent = sum(1 for death in self._deaths if now - death < DEATHS_WINDOW_SECONDS)
        if recent >= DEATHS_LIMIT:
            raise ChildKeepsDyingError(
                f"{self.name} keeps ending ({how}; {recent + 1} times within {DEATHS_WINDOW_SECONDS:.0f} s); "
                f"end of {self.child.log_path}:\n{tail(self.child.log_path)}"
            )
        self._deaths.append(now)
        pause_seconds = FIRST_PAUSE_SECONDS * 2**recent
        self._start_at = now + pause_seconds
        self._note(self.name, how)
        self._say(f"{self.name} {how}; restarting it in {pause_seconds:.1f} s (log: {self.child.log_path})")


class SignalPipe:
    """Lets the main thread sleep until a child ends or a signal asks for the end, without polling."""

    _STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> Self:
        self._asked = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, self._note) for number in (*self._STOP, signal.SIGCHLD)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Sleep until a signal arrives or `seconds` pass. Raises `Stopped` once the end was asked for."""
        if not self._asked and select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, 4096)
        if self._asked:
            raise Stopped

    def _note(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._asked = True


def run_once(name: str, process: LabProcess, signals: SignalPipe, timeout_seconds: float) -> None:
    """Run a process to its end. Raises `ChildKeepsDyingError` if it fails, `ChildRefusedError` if its settings are
    wrong, and `Stopped` if the end is asked for.
    """
    deadline = time.monotonic() + timeout_seconds
    process.start()
    try:
        while process.process is not None and (status := process.process.poll()) is None:
            if time.monotonic() > deadline:
                break
            signals.wait(1.0)
    finally:
        process.stop()
    if status == REFUSED_STATUS and (reason := last_reason(process.log_path)):
        raise ChildRefusedError(f"{name} refused{reason}; the log is {process.log_path}")
    if status != 0:
        how = f"not done after {timeout_seconds:.0f} s" if status is None else f"status {status}"
        raise ChildKeepsDyingError(f"{name} failed ({how}); end of {process.log_path}:\n{tail(process.log_path)}")
