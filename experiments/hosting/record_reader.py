"""Reads what a run wrote, in a directory where its experiment can write anything.

The reader trusts nothing: a line that is no record costs itself and nothing else.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from experiments.contract import SAMPLES_FILE
from experiments.hosting.wire import (
    MAX_LINE_BYTES,
    Disturbed,
    Ending,
    Failed,
    Record,
    Sample,
    Stopped,
    Succeeded,
    clean_text,
)
from gpulab.run.files import RECORDS_FILE

MAX_READ_BYTES = 8 * 2**20
"""Of one file at a time, so that the transaction that stores it stays short."""
MAX_BEGINNING_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that is no record."""

    offset: int
    """Of its first byte in the file."""
    reason: str
    beginning: str
    """Its first characters, those that cannot be printed as escapes."""

    def __str__(self) -> str:
        return f"byte {self.offset}: {self.reason}: {self.beginning}"


T = TypeVar("T")
_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="type")])
_SAMPLE: TypeAdapter[Sample] = TypeAdapter(Sample)


Refuse = Callable[[T, int, int], str | None]
"""Why a record counts for nothing, by its offset and size in bytes; None where it counts."""


@dataclass(frozen=True, slots=True)
class Distrust(Generic[T]):
    """What a reader does with a file that its writer may fill with anything."""

    refuse: Refuse[T]
    max_bytes: int
    """Beyond, nothing is read."""
    max_broken: int
    """After as many lines that are no record, nothing is read any more."""


class LineReader(Generic[T]):
    """Reads whole lines of a file that another process writes."""

    def __init__(self, path: Path, adapter: TypeAdapter[T], distrust: Distrust[T] | None = None) -> None:
        self._path = path
        self._adapter = adapter
        self._distrust = distrust
        self._broken: set[int] = set()

    def read(self, offset: int, *, max_lines: int | None = None) -> tuple[list[T | Broken], int]:
        """What lies behind `offset`, and where to go on; half a line waits for its other half."""
        found: list[T | Broken] = []
        at = offset
        for line in self._lines(offset):
            if (max_lines is not None and len(found) >= max_lines) or self._gave_up():
                break
            if line.strip():
                found.append(self._parsed(line, at))
            at += len(line)
        return found, at

    def every(self, *words: bytes) -> Iterator[T]:
        """All that can be read, from the start; with `words`, only of lines that hold one of them."""
        at = 0
        while not self._gave_up() and (lines := list(self._lines(at))):
            for line in lines:
                if self._gave_up():
                    return
                wanted = not words or any(word in line for word in words)
                if wanted and not isinstance(record := self._parsed(line, at), Broken):
                    yield record
                at += len(line)

    def _lines(self, offset: int) -> Iterator[bytes]:
        left = MAX_READ_BYTES if self._distrust is None else self._distrust.max_bytes - offset
        return _whole_lines(read_regular(self._path, offset, min(MAX_READ_BYTES, left))) if left > 0 else iter(())

    def _gave_up(self) -> bool:
        return self._distrust is not None and len(self._broken) >= self._distrust.max_broken

    def _parsed(self, line: bytes, offset: int) -> T | Broken:
        reason = f"longer than {MAX_LINE_BYTES} bytes"
        if len(line) <= MAX_LINE_BYTES:
            try:
                record = self._adapter.validate_python(_json(line))
                if self._distrust is None:
                    return record
                if (refused := self._distrust.refuse(record, offset, len(line))) is None:
                    return record
                reason = refused
            except ValidationError as error:
                reason = _reason(error)
            except (ValueError, RecursionError):
                reason = "not JSON"
        if self._distrust is not None:
            self._broken.add(offset)
        return Broken(offset, reason, printable(line.strip()))


class RecordReader(LineReader[Record]):
    """Of `records.ndjson` in a run directory."""

    def __init__(self, folder: Path, distrust: Distrust[Record] | None = None) -> None:
        super().__init__(folder / RECORDS_FILE, _RECORD, distrust)

    def ending(self) -> Ending | None:
        """How the run said that it ended; null where it said nothing."""
        last: Ending | None = None
        for record in self.every(b"result", b"error", b"disturbed", b"stopped"):
            if isinstance(record, Succeeded | Failed | Disturbed | Stopped):
                last = record
        return last


class SampleReader(LineReader[Sample]):
    """Of `samples.ndjson` in a run directory."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / SAMPLES_FILE, _SAMPLE)


def read_regular(path: Path, offset: int, size: int) -> bytes:
    """Bytes of a file; empty where there is none, where its writer locked it, or where it could hold its reader up."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError, BlockingIOError):
        return b""
    except OSError:
        if path.is_symlink() or path.is_dir() or not path.is_file():
            return b""
        raise
    try:
        return os.pread(file, size, offset) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)


def printable(line: bytes) -> str:
    """The beginning of a line for people."""
    text = line[: 4 * MAX_BEGINNING_CHARACTERS].decode("utf-8", "backslashreplace")
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return shown if len(shown) <= MAX_BEGINNING_CHARACTERS else f"{shown[:MAX_BEGINNING_CHARACTERS]}…"


def _whole_lines(data: bytes) -> Iterator[bytes]:
    """Each with its newline. What is longer than a line may be comes in pieces, so that nothing waits for its end."""
    *whole, rest = data.split(b"\n")
    for line in whole:
        yield line + b"\n"
    if len(rest) > MAX_LINE_BYTES:
        yield rest


def _json(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # Lone surrogates, bytes that are no UTF-8, and NaN: the record is readable all the same.
        return json.loads(line.decode("utf-8", "surrogateescape"))


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return clean_text(f"{place}: {first['msg']}" if place else first["msg"])[:200]
