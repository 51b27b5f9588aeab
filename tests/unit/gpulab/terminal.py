"""A program in a terminal of its own: what it draws is read from an emulated screen, keys are typed into it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import pyte

TIMEOUT_SECONDS = 30.0
LAUNCH = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("gpulab", run_name="__main__")
"""
"""The terminal becomes the program's own, so that Ctrl-C and a new size reach it as signals."""


class Terminal:
    """Runs `gpulab ARGUMENTS` on a pseudo-terminal of `columns` by `lines`."""

    def __init__(
        self, *arguments: object, columns: int = 100, lines: int = 30, environment: Mapping[str, str] | None = None
    ) -> None:
        self._arguments = [str(argument) for argument in arguments]
        self._screen = pyte.HistoryScreen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._news = threading.Condition()
        self._closed = False
        self.raw = b""
        """Everything the program wrote."""
        kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self._environment = {**kept, "TERM": "xterm-256color", **(environment or {})}

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        self._set_size()
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *self._arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        # With the last writer gone the reader meets the end.
        os.close(self._slave)
        self._reader.join()
        os.close(self._master)

    @property
    def rows(self) -> list[str]:
        """What the screen shows now, without the blanks at the ends."""
        with self._news:
            return [row.rstrip() for row in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    def wait_for(self, wanted: str | Callable[[str], bool]) -> str:
        """The screen as soon as it shows `wanted`; fails with the screen otherwise."""
        shows = wanted if callable(wanted) else lambda text: wanted in text
        seen = ""

        def look() -> bool:
            nonlocal seen
            seen = self._text()
            return shows(seen) or self._closed

        with self._news:
            self._news.wait_for(look, TIMEOUT_SECONDS)
        assert shows(seen), f"{wanted!r} is not on the screen after {TIMEOUT_SECONDS} s, or its end:\n{seen}"
        return seen

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        with self._news:
            self._screen.resize(lines, columns)
            self._screen.reset()
        self._set_size()

    def wait(self) -> int:
        """The program's exit code."""
        return self.process.wait(TIMEOUT_SECONDS)

    def is_as_before(self) -> bool:
        """Whether the terminal was left as it was found."""
        return termios.tcgetattr(self._slave) == self.before

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def _text(self) -> str:
        return "\n".join(row.rstrip() for row in self._screen.display)

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                piece = b""
            with self._news:
                self.raw += piece
                self._closed = not piece
                if piece:
                    self._stream.feed(piece)
                self._news.notify_all()
            if not piece:
                return
