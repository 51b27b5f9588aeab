"""The object store of a lab that this machine has joined: a socket that leads to the lab's gate.

It has the three methods of an `obstore` store that workers use, and raises the same errors. Each call is a connection
of its own: an order as a line, then the bytes.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from obstore.exceptions import BaseError
from pydantic import BaseModel, Field

MAX_PIECE_BYTES = 8 * 2**20
READ_BYTES = 2**18
SILENT_SECONDS = 300.0
"""Far above what a store takes for one step; the tunnel notices cut networks sooner."""
MAX_LINE_BYTES = 65_536


class Operation(StrEnum):
    GET = "get"
    PUT = "put"
    DELETE = "delete"


class Order(BaseModel):
    operation: Operation
    key: str = Field(min_length=1, max_length=2000)


class Trouble(StrEnum):
    MISSING = "missing"
    STORE = "store"


class Outcome(BaseModel):
    trouble: Trouble | None = None
    message: str = ""
    size_bytes: int = 0
    """Of what follows this line."""


class JoinedStoreError(BaseError):
    """The lab's store refused, or the lab cannot be reached."""


class Fetched:
    """A stored file, read once: all of it, or in pieces."""

    def __init__(self, connection: socket.socket, file: BinaryIO, size_bytes: int) -> None:
        self.meta = {"size": size_bytes}
        self._connection = connection
        self._file = file

    def stream(self) -> Iterator[bytes]:
        return iter(self)

    def __iter__(self) -> Iterator[bytes]:
        """Raises `JoinedStoreError` where the file does not come whole."""
        left = self.meta["size"]
        with self._connection, self._file:
            while left:
                try:
                    piece = self._file.read(min(READ_BYTES, left))
                except OSError as error:
                    raise JoinedStoreError(f"the lab's store: {error}") from error
                if not piece:
                    raise JoinedStoreError("the lab's store: the connection was cut")
                left -= len(piece)
                yield piece

    def bytes(self) -> "bytes":
        return b"".join(self)


class JoinedStore:
    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Fetched:
        """Raises `FileNotFoundError` and `JoinedStoreError`."""
        connection, file = self._ordered(Operation.GET, key)
        try:
            return Fetched(connection, file, self._outcome(file, key).size_bytes)
        except BaseException:
            connection.close()
            raise

    def put(self, key: str, content: bytes | Iterable[bytes]) -> None:
        """Keep the content under the key, whole or not at all. Raises `JoinedStoreError`."""
        connection, file = self._ordered(Operation.PUT, key)
        with connection, file:
            try:
                for piece in _pieces([content] if isinstance(content, bytes) else content):
                    connection.sendall(struct.pack("!I", len(piece)))
                    connection.sendall(piece)
                connection.sendall(struct.pack("!I", 0))
            except (BrokenPipeError, ConnectionResetError):
                # The lab has said why, unless it is the network that broke.
                pass
            except TimeoutError as error:
                raise JoinedStoreError(f"the lab's store: {error}") from error
            self._outcome(file, key)

    def delete(self, key: str) -> None:
        """Raises `FileNotFoundError` and `JoinedStoreError`."""
        connection, file = self._ordered(Operation.DELETE, key)
        with connection, file:
            self._outcome(file, key)

    def _ordered(self, operation: Operation, key: str) -> tuple[socket.socket, BinaryIO]:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SILENT_SECONDS)
        try:
            connection.connect(str(self._path))
            connection.sendall(Order(operation=operation, key=key).model_dump_json().encode() + b"\n")
        except OSError as error:
            connection.close()
            raise JoinedStoreError(f"the lab's store cannot be reached: {error.strerror or error}") from error
        return connection, connection.makefile("rb")

    def _outcome(self, file: BinaryIO, key: str) -> Outcome:
        try:
            line = file.readline(MAX_LINE_BYTES)
        except OSError as error:
            raise JoinedStoreError(f"the lab's store: {error.strerror or error}") from error
        if not line.endswith(b"\n"):
            raise JoinedStoreError("the lab's store: the connection was cut")
        outcome = Outcome.model_validate_json(line)
        if outcome.trouble is Trouble.MISSING:
            raise FileNotFoundError(key)
        if outcome.trouble is not None:
            raise JoinedStoreError(outcome.message)
        return outcome


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    for piece in content:
        for start in range(0, len(piece), MAX_PIECE_BYTES):
            yield piece[start : start + MAX_PIECE_BYTES]
