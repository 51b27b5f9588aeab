"""As much of PgBouncer as matters: one session of a real PostgreSQL, given to whichever client is next in line.

It speaks the wire protocol of version 3 between messages: a client holds the session from its first query until the
server is ready outside of a transaction.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.embedded import EmbeddedPostgres

READY = b"Z"


class Pooler:
    def __init__(self, server: EmbeddedPostgres, database: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._session = socket.socket(socket.AF_UNIX)
        self._session.connect(str(Path(server.socket_folder) / ".s.PGSQL.5432"))
        words = f"user\0gpulab\0database\0{database}\0\0".encode()
        self._session.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
        self._greeting = self._until_ready()[0]
        self._turn = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self._session.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                self._greet(client)
                holding = False
                while True:
                    kind, message = _message(client)
                    if kind == b"X":
                        return
                    if not holding:
                        self._turn.acquire()
                    self._session.sendall(message)
                    holding = True
                    if kind in b"QS":
                        answer, state = self._until_ready()
                        if state == b"I":
                            self._turn.release()
                            holding = False
                        client.sendall(answer)
            except OSError:
                return

    def _greet(self, client: socket.socket) -> None:
        while True:
            length, code = struct.unpack("!ii", _exactly(client, 8))
            _exactly(client, length - 8)
            if code == 196608:
                break
            client.sendall(b"N")  # neither TLS nor GSSAPI
        client.sendall(self._greeting)

    def _until_ready(self) -> tuple[bytes, bytes]:
        """Everything up to where the server waits for the next query, and whether it is within a transaction."""
        said = b""
        while True:
            kind, message = _message(self._session)
            said += message
            if kind == READY:
                return said, message[-1:]


@contextmanager
def transaction_pooler(server: EmbeddedPostgres, database: str) -> Iterator[str]:
    """Its address."""
    pooler = Pooler(server, database)
    try:
        yield f"postgresql://gpulab@127.0.0.1:{pooler.port}/{database}?sslmode=disable&gssencmode=disable"
    finally:
        pooler.close()


def _message(peer: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(peer, 5)
    return head[:1], head + _exactly(peer, struct.unpack("!i", head[1:])[0] - 4)


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            raise ConnectionError("the peer left")
        data += part
    return data
