"""A proxy as many hosts have one: it serves the lab below a path, takes the path off and names it in a header."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def below(prefix: str, port: int) -> Iterator[str]:
    """Serve the lab at `port` of this machine below `prefix`; yields its address there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _pass_on(prefix, port, reader, writer)
        writer.close()

    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "127.0.0.1", 0), loop).result()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _pass_on(prefix: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request a connection: the head is rewritten, everything behind it goes through as it comes."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, _, fields = head.partition("\r\n")
    method, path, version = first.split(" ")
    if not path.startswith(f"{prefix}/"):
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    kept = [line for line in fields.split("\r\n") if line and not line.lower().startswith("connection:")]
    added = [f"X-Forwarded-Prefix: {prefix}", "Connection: close", "", ""]
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
    up_writer.write("\r\n".join([f"{method} {path.removeprefix(prefix)} {version}", *kept, *added]).encode("latin-1"))
    ways = [asyncio.ensure_future(_pump(reader, up_writer)), asyncio.ensure_future(_pump(up_reader, writer))]
    # The answer's end is the connection's.
    await ways[1]
    ways[0].cancel()
    up_writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(65536):
        target.write(piece)
        await target.drain()
