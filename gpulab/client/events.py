"""Server-sent events, read from bytes as they come."""

import codecs
import json
from dataclasses import dataclass
from typing import Any

from gpulab.errors import UnexpectedAnswer

MAX_EVENT_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """A notice that something changed."""

    id: str
    """Where to go on from, as `Last-Event-ID`."""
    event: str
    data: dict[str, Any]


class EventParser:
    """Cuts a byte stream into changes, wherever the network cut it. Keeps the last id and the wished retry delay."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_seconds = 0.0
        self.restart()

    def restart(self) -> None:
        """Forget the half event of a connection that broke."""
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._id = self.last_event_id
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Change]:
        """The changes that these bytes complete."""
        text = self._rest + self._decoder.decode(chunk)
        # A carriage return at the end may be half of a line ending.
        held = "\r" if text.endswith("\r") else ""
        *lines, rest = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_CHARACTERS:
            raise UnexpectedAnswer(f"an event is longer than {MAX_EVENT_CHARACTERS} characters")
        return [change for line in lines if (change := self._line(line)) is not None]

    def _line(self, line: str) -> Change | None:
        if not line:
            return self._finish()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id" if "\0" not in value:
                self._id = value
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "retry" if value.isdecimal():
                self.retry_seconds = int(value) / 1000
        return None

    def _finish(self) -> Change | None:
        event, data = self._event or "message", "\n".join(self._data)
        # Only a whole event moves the place to go on from.
        self.last_event_id, self._event, self._data = self._id, "", []
        if not data:
            return None
        try:
            body = json.loads(data)
        except ValueError:
            raise UnexpectedAnswer(f"an event's data is not JSON: {data[:200]!r}") from None
        return Change(self.last_event_id, event, body if isinstance(body, dict) else {"value": body})
