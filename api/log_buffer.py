"""Standard error of a process that logs every request: the lines of a moment are written together."""

import asyncio
import sys
from typing import TextIO

WRITE_SECONDS = 0.1
"""A process that is killed loses so much of its log at most."""


class LogBuffer:
    """As much of a file as a logger needs. Outside an event loop every line is written at once."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = sys.stderr if file is None else file
        self._waiting: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def write(self, text: str) -> None:
        self._waiting.append(text)

    def flush(self) -> None:
        """What a logger calls after each line."""
        if self._timer is not None:
            return
        try:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self.write_out)
        except RuntimeError:
            self.write_out()

    def write_out(self) -> None:
        """Write everything now."""
        self._timer = None
        texts, self._waiting = self._waiting, []
        self._file.write("".join(texts))
        self._file.flush()
