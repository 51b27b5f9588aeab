"""A pool of connections: no background tasks, no waiting where PostgreSQL is away, nothing broken handed out twice."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from psycopg import AsyncConnection, Error, OperationalError
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_loads

from api.limits.turns import Turns
from models.database import WRITABLE, DatabaseAwayError, first_line, is_away, noticing_absence, settings_of

WAIT_SECONDS = 5.0
"""How long a request waits for a connection that others hold."""
OPTIONS: dict[str, Any] = {
    **WRITABLE,
    # Every statement of the API is its own transaction, so no BEGIN and COMMIT are sent.
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
"""A connection that was idle longer than this is checked before use: the server may have closed it."""

Connection = AsyncConnection[Any]


async def connect(url: str) -> Connection:
    """A connection of the API. Raises `DatabaseAwayError`."""
    with noticing_absence():
        made = await AsyncConnection.connect(url, **settings_of(url, OPTIONS))
    # Three times as fast as Python's own, on the loop that serves everybody.
    set_json_loads(orjson.loads, made)
    return made


class Pool:
    """At most `size` connections, made when they are needed; of them one user has `of_one` at most."""

    def __init__(self, url: str, size: int, *, of_one: int) -> None:
        self._url = url
        self._idle: list[tuple[Connection, float]] = []
        """Idle connections with the time of their return; the latest is used first."""
        self._turns = Turns(size, of_one=of_one)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow one. Raises `Busy` when none is free in time, and `DatabaseAwayError` when its server fails."""
        async with self._turns.taken(wait_seconds=WAIT_SECONDS):
            connection = await self._idle_or_new()
            try:
                yield connection
            except Error as error:
                if not is_away(error):
                    raise
                await self._drop(connection)
                raise DatabaseAwayError(first_line(error)) from error
            finally:
                await self._return(connection)

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection, _since in idle:
            await connection.close()

    async def _idle_or_new(self) -> Connection:
        if self._idle:
            connection, since = self._idle.pop()
            if time.monotonic() - since < UNTOUCHED_SECONDS or _still_there(connection):
                return connection
            await self._return(connection)
        return await connect(self._url)

    async def _return(self, connection: Connection) -> None:
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
