"""A pool of connections: no background tasks, no waiting where PostgreSQL is away, nothing broken handed out twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, Error, OperationalError
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from models.database import WRITABLE, DatabaseAwayError, first_line, is_away, noticing_absence, settings_of

WAIT_SECONDS = 5.0
"""How long a request waits for a connection that others hold."""
OPTIONS: dict[str, Any] = {
    **WRITABLE,
    # Every statement of the API is a transaction of its own, so no BEGIN and COMMIT travel beside it.
    "autocommit": True,
    "prepare_threshold": 1,
    "row_factory": namedtuple_row,
    "options": "-c timezone=UTC",
    # A peer that vanished without a word is found out within half a minute.
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

UNTOUCHED_SECONDS = 1.0
"""A connection that nobody used for so long is looked at first: the server may have closed it meanwhile."""

Connection = AsyncConnection[Any]


class PoolExhausted(DatabaseAwayError):  # noqa: N818 - it states the fact
    """Every connection stayed taken for `WAIT_SECONDS`."""


async def connect(url: str) -> Connection:
    """A connection of the API. Raises `DatabaseAwayError`."""
    with noticing_absence():
        return await AsyncConnection.connect(url, **settings_of(url, OPTIONS))


class Pool:
    """At most `size` connections, made when they are needed."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._idle: list[tuple[Connection, float]] = []
        """Each with the time since when nobody has it; the latest is used first."""
        self._room = asyncio.Semaphore(size)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow one. Raises `DatabaseAwayError` when there is none to be had, or its server fails meanwhile."""
        await self._enter()
        try:
            connection = await self._idle_or_new()
            try:
                yield connection
            except Error as error:
                if not is_away(error):
                    raise
                await self._drop(connection)
                raise DatabaseAwayError(first_line(error)) from error
            finally:
                await self._take_back(connection)
        finally:
            self._room.release()

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection, _since in idle:
            await connection.close()

    async def _idle_or_new(self) -> Connection:
        if self._idle:
            connection, since = self._idle.pop()
            if time.monotonic() - since < UNTOUCHED_SECONDS or _still_there(connection):
                return connection
            await self._take_back(connection)
        return await connect(self._url)

    async def _enter(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise PoolExhausted(f"all connections stayed taken for {WAIT_SECONDS:g} s") from None

    async def _take_back(self, connection: Connection) -> None:
        if connection.broken:
            await self._drop(connection)
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append((connection, time.monotonic()))
        else:
            # Broken, or its statement was abandoned half way.
            await connection.close()

    async def _drop(self, connection: Connection) -> None:
        """What cut one has mostly cut all: the server restarted, or takes no changes any more."""
        await connection.close()
        await self.close()


def _still_there(connection: Connection) -> bool:
    try:
        connection.pgconn.consume_input()
    except OperationalError:
        return False
    return not connection.broken
