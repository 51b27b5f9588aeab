"""The joining machine's end: sockets in a private folder, each of which leads to a server of the lab."""

import asyncio
import errno
import os
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gpulab.threads import vital_task
from gpulab.version import VERSION
from server.joining.identity import client_context, fingerprint_of
from server.joining.join_line import Address
from server.joining.protocol import (
    HELLO_SECONDS,
    PIECE_BYTES,
    Answer,
    Hello,
    MalformedLineError,
    Purpose,
    Refusal,
    line_of,
    notice_cuts,
    read_answer,
)
from server.joining.relay import Connection, relay

SOCKETS = {Purpose.POSTGRES: ".s.PGSQL.5432", Purpose.REDIS: "redis.sock", Purpose.STORE: "store.sock"}
"""libpq knows only the first by its folder."""
CLOSING_SECONDS = 2.0


class RefusedError(Exception):
    """The lab refuses this machine; the message is what it said."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class UnreachableError(Exception):
    """The lab does not answer; the message says where, and why."""


class ForeignLabError(Exception):
    """Another certificate than the pinned one."""


async def connect(address: Address, pinned: bytes, hello: Hello) -> tuple[Connection, Answer]:
    """An open connection for what was asked for. Raises one of the errors above."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=client_context(), limit=PIECE_BYTES,
                ssl_shutdown_timeout=CLOSING_SECONDS,
            )  # fmt: skip
            try:
                return (reader, writer), await _introduced(reader, writer, pinned, hello)
            except BaseException:
                writer.transport.abort()
                raise
    except TimeoutError:
        raise UnreachableError(f"{address} does not answer within {HELLO_SECONDS:.0f} s") from None
    except ssl.SSLError as error:
        raise UnreachableError(f"the server at {address} is not a shared lab ({error.reason or error})") from error
    except OSError as error:
        raise UnreachableError(f"nothing answers at {address} ({_reason(error)})") from error
    except MalformedLineError as error:
        raise UnreachableError(f"{address} closed the connection without an answer") from error


def _reason(error: OSError) -> str:
    """asyncio writes the address again in the place of the system's words."""
    number = error.errno or 0
    return os.strerror(number) if number in errno.errorcode else error.strerror or str(error)


async def _introduced(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pinned: bytes, hello: Hello
) -> Answer:
    notice_cuts(writer)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if certificate is None or fingerprint_of(certificate) != pinned:
        raise ForeignLabError
    writer.write(line_of(hello))
    await writer.drain()
    answer = await read_answer(reader)
    if answer.refusal is not None:
        raise RefusedError(answer.refusal, answer.message)
    return answer


def ask(address: Address, pinned: bytes, node: str, purpose: Purpose, proof: str) -> Answer:
    """One question and its answer. Raises as `connect`."""

    async def once() -> Answer:
        (_, writer), answer = await connect(address, pinned, hello_of(node, purpose, proof))
        writer.transport.abort()
        return answer

    return asyncio.run(once())


def hello_of(node: str, purpose: Purpose, proof: str) -> Hello:
    return Hello(version=VERSION, node=node, purpose=purpose, proof=proof, clock=time.time())


class Tunnel:
    """Listens in `folder` until it is cancelled. `said` hears why a connection could not be made."""

    def __init__(
        self, folder: Path, address: Address, pinned: bytes, node: str, token: str, said: Callable[[Exception], None]
    ) -> None:
        self._folder = folder
        self._address = address
        self._pinned = pinned
        self._node = node
        self._token = token
        self._said = said
        self._forwards: set[asyncio.Task[None]] = set()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Raises `OSError` where it cannot listen."""
        servers = [
            await asyncio.start_unix_server(partial(self._accept, purpose), path=self._folder / name)
            for purpose, name in SOCKETS.items()
        ]
        ready()
        try:
            await asyncio.gather(*(server.serve_forever() for server in servers))
        finally:
            await self._end_forwards()

    def _accept(self, purpose: Purpose, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio would start the task too, but only weakly hold it: nobody could end it with the tunnel.
        forward = vital_task("tunnel", self._forward(purpose, reader, writer))
        self._forwards.add(forward)
        forward.add_done_callback(self._forwards.discard)

    async def _end_forwards(self) -> None:
        for forward in self._forwards:
            forward.cancel()
        await asyncio.gather(*self._forwards, return_exceptions=True)

    async def _forward(self, purpose: Purpose, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = hello_of(self._node, purpose, self._token)
            connection, _ = await connect(self._address, self._pinned, hello)
        except (RefusedError, UnreachableError, ForeignLabError) as error:
            self._said(error)
        else:
            await relay((reader, writer), connection)
        finally:
            writer.close()
