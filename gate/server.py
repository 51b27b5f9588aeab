"""The port: TLS, one line each way, then the bytes of PostgreSQL, Redis or the object store."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog
from obstore.store import ObjectStore
from pydantic import ValidationError

from gate import store
from gate.admission import Admission
from gate.postgres import StartupError, startup_of
from models.database import DATABASE_AWAY
from server.joining.identity import Identity, server_context
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
    read_line,
)
from server.joining.relay import relay

MAX_STRANGERS = 100
"""Connections at a time that have not yet said who they are."""
REVOKED_LOOK_SECONDS = 2.0
CLOSING_SECONDS = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Servers:
    """What lies behind the gate: sockets of this machine, and the store."""

    postgres: Path
    redis: Path
    store: ObjectStore


class Gate:
    def __init__(self, admission: Admission, servers: Servers) -> None:
        self._admission = admission
        self._servers = servers
        self._strangers = 0
        self._open: defaultdict[UUID, set[asyncio.StreamWriter]] = defaultdict(set)
        """Connections by the token that let them in."""

    async def serve(self, identity: Identity, host: str, port: int, ready: Callable[[int], None]) -> None:
        """Until it is cancelled. Raises `OSError` where it cannot listen."""
        server = await asyncio.start_server(
            self._accept, host, port, ssl=server_context(identity), limit=PIECE_BYTES,
            ssl_handshake_timeout=HELLO_SECONDS, ssl_shutdown_timeout=CLOSING_SECONDS,
        )  # fmt: skip
        ready(server.sockets[0].getsockname()[1])
        async with server:
            while True:
                await asyncio.sleep(REVOKED_LOOK_SECONDS)
                await self._cut_revoked()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            admitted = await self._introduced(reader, writer)
            if admitted is not None:
                await self._connected(*admitted, reader, writer)
        except (MalformedLineError, StartupError, store.CutOffError, OSError, TimeoutError) as error:
            log.info("gate.cut", reason=str(error), address=_address_of(writer))
        except asyncio.CancelledError:
            # The gate ends. Nobody waits for this task, and asyncio would report it as a failure.
            log.debug("gate.ends")
        finally:
            writer.close()

    async def _introduced(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[Purpose, UUID] | None:
        """What a node is let in for, and by which token; None where nothing follows."""
        if self._strangers >= MAX_STRANGERS:
            return None
        self._strangers += 1
        try:
            notice_cuts(writer)
            async with asyncio.timeout(HELLO_SECONDS):
                hello, (answer, token_id) = await self._judged(reader)
                writer.write(line_of(answer))
                await writer.drain()
        finally:
            self._strangers -= 1
        if answer.refusal is not None:
            log.warning("gate.refused", reason=answer.message, refusal=answer.refusal, address=_address_of(writer))
        if hello is None or token_id is None or hello.purpose is Purpose.CHECK:
            return None
        return hello.purpose, token_id

    async def _judged(self, reader: asyncio.StreamReader) -> tuple[Hello | None, tuple[Answer, UUID | None]]:
        try:
            hello = Hello.model_validate_json(await read_line(reader))
        except ValidationError:
            return None, (Answer(refusal=Refusal.MALFORMED, message="the lab does not understand this machine"), None)
        return hello, await asyncio.to_thread(self._admission.judge, hello)

    async def _connected(
        self, purpose: Purpose, token_id: UUID, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open[token_id].add(writer)
        try:
            if purpose is Purpose.STORE:
                await store.serve(self._servers.store, reader, writer)
                return
            first = await startup_of(reader, writer) if purpose is Purpose.POSTGRES else b""
            place = self._servers.postgres if purpose is Purpose.POSTGRES else self._servers.redis
            behind = await asyncio.open_unix_connection(place, limit=PIECE_BYTES)
            behind[1].write(first)
            await relay((reader, writer), behind)
        finally:
            self._open[token_id].discard(writer)
            if not self._open[token_id]:
                del self._open[token_id]

    async def _cut_revoked(self) -> None:
        if not self._open:
            return
        with suppress(*DATABASE_AWAY):
            for token_id in await asyncio.to_thread(self._admission.revoked, list(self._open)):
                log.info("gate.withdrawn", token_id=str(token_id))
                for writer in tuple(self._open.get(token_id, ())):
                    writer.transport.abort()


def _address_of(writer: asyncio.StreamWriter) -> str:
    address = writer.get_extra_info("peername")
    return "?" if address is None else str(address[0])
