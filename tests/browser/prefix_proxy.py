"""A proxy as many hosts have one: it serves the lab below a path, takes the path off and names it in a header."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer


class Proxy(ThreadingTCPServer):
    """One request a connection: its head is rewritten, and the answer goes through as it comes."""

    request_queue_size = 100

    def __init__(self, prefix: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.prefix = prefix
        self.port = port
        self.open: set[socket.socket] = set()

    def end(self) -> None:
        """Also what still streams."""
        self.shutdown()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        head: list[str] = []
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            head.append(line)
        if not head:
            # A browser opens connections ahead and may never use them.
            return
        method, path, version = head[0].split(" ")
        prefix = self.server.prefix
        if not path.startswith(f"{prefix}/"):
            self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        fields |= {"x-forwarded-prefix": prefix, "connection": "close"}
        lines = [f"{method} {path.removeprefix(prefix)} {version}", *(f"{name}: {fields[name]}" for name in fields)]
        body = self.rfile.read(int(fields.get("content-length", 0)))
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.port)) as lab:
            self.server.open.add(lab)
            lab.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            while piece := lab.recv(65536):
                self.wfile.write(piece)


@contextmanager
def below(prefix: str, port: int) -> Iterator[str]:
    """Serve the lab at `port` of this machine below `prefix`; yields its address there."""
    proxy = Proxy(prefix, port)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}{prefix}"
    finally:
        proxy.end()
        thread.join()
