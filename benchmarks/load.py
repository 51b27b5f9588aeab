"""HTTP load that costs the machine little: raw keep-alive sockets in one process, requests made ready beforehand."""

import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()

    def send(self, request: bytes) -> None:
        self._received.clear()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Read what is there; the whole answer once it is complete."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        return bytes(self._received) if len(self._received) >= end + 4 + _length(self._received[:end]) else None

    def call(self, request: bytes) -> Answer:
        self.send(request)
        while (answer := self.receive()) is None:
            pass
        return parse(answer)

    def close(self) -> None:
        self.socket.close()


def request(
    method: str, path: str, *, token: str = "", body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += ["Content-Type: application/json"] if body else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def parse(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split(" ", 2)[1]), headers, body)


def requests_per_second(port: int, sent: bytes, *, clients: int, seconds: float, status: int) -> float:
    """Completed requests a second of `clients` connections that each ask again at once.

    Raises AssertionError for an answer with another status.
    """
    expected = f"HTTP/1.1 {status} ".encode()
    connections = [Connection(port) for _ in range(clients)]
    selector = selectors.DefaultSelector()
    done = 0
    try:
        start = time.perf_counter()
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(sent)
        while (elapsed := time.perf_counter() - start) < seconds:
            for key, _ in selector.select(timeout=1.0):
                answer = key.data.receive()
                if answer is not None:
                    assert answer.startswith(expected), answer[:500]
                    done += 1
                    key.data.send(sent)
    finally:
        selector.close()
        for connection in connections:
            connection.close()
    return done / elapsed


def _length(head: bytearray) -> int:
    lowered = bytes(head).lower()
    at = lowered.find(b"content-length:")
    return 0 if at < 0 else int(lowered[at + 15 :].split(b"\r\n", 1)[0])
