"""A zip that is sent while it is written: nothing of it is kept, neither in memory nor on disk. Pure."""

import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Literal

WRITTEN: Literal["w"] = "w"
"""How `zipfile` opens a member; it is bytes."""


class _Sink:
    """Takes what the zip writes, until it is fetched. It cannot be sought in, which `zipfile` provides for."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """As a file has it."""

    def close(self) -> None:
        """As a file has it."""

    def taken(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


class Archive:
    """Members are written one after the other; `taken` returns what can be sent since it was called last."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)
        self.names: list[str] = []

    @contextmanager
    def member(self, name: str, *, compressed: bool = True) -> Iterator[IO[bytes]]:
        """A file to write into, of any length."""
        about = zipfile.ZipInfo(name, time.gmtime()[:6])
        about.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        about.external_attr = 0o600 << 16
        with self._zip.open(about, WRITTEN, force_zip64=True) as file:
            yield file
        self.names.append(name)

    def add(self, name: str, data: bytes) -> None:
        with self.member(name) as file:
            file.write(data)

    def close(self) -> None:
        self._zip.close()

    def taken(self) -> bytes:
        return self._sink.taken()
