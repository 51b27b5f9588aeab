"""Statements against the database. A connection is held for the statement alone.

SQLAlchemy writes the SQL, once for each shape of a statement; psycopg runs it. Composing and compiling a statement anew
at every request, and crossing into SQLAlchemy's engine, costs several times what the statement itself does.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncCursor, OperationalError
from sqlalchemy import Executable, bindparam
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from api.sql.pool import Pool
from models.statements import allowances

DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy leaves it unannotated

ROWS_PER_FETCH = 50
"""Rows read before the loop turns to others."""
Row = Any
"""A named tuple of the statement's columns."""


class Prepared:
    """A statement as text, with the values that are part of it."""

    def __init__(self, statement: Executable) -> None:
        assert isinstance(statement, ClauseElement)  # noqa: S101 - every statement of ours is
        compiled = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - and none is DDL
        self.sql = str(compiled)
        self.values: Mapping[str, Any] = compiled.construct_params(_check=False)


Source = Prepared | Executable | Callable[..., Executable]
"""What to run: a statement, or the function that makes it, whose arguments then are parameters of the statement."""


class TurnTakenError(Exception):
    """Something else of the same user is being stored."""


class Database:
    def __init__(self, url: str, *, pool_size: int, of_one: int | None = None) -> None:
        """At most `pool_size` connections, of which one user has `of_one` at most."""
        self._pool = Pool(url, pool_size, of_one=pool_size if of_one is None else of_one)
        self._prepared: dict[tuple[Any, frozenset[str]], Prepared] = {}

    async def rows(self, source: Source, **given: Any) -> Sequence[Row]:
        """Every row. An argument that is None counts as left out where `source` is a function."""
        found: list[Row] = await self._run(source, given, _fetched)
        return found

    async def row(self, source: Source, **given: Any) -> Row | None:
        """The first row, or None."""
        return await self._run(source, given, AsyncCursor.fetchone)

    async def rows_in_turn(
        self, user_ids: Sequence[UUID], source: Source, *, wait: bool = True, **given: Any
    ) -> Sequence[Row]:
        """As `rows`, of a statement that counts what these users have and adds to it: one at a time for each user.

        Without `wait`, raises `TurnTakenError` where one of them is being served.
        """
        locking = allowances.one_at_a_time if wait else allowances.one_at_a_time_now
        lock = self._prepare(locking, {"user_ids": user_ids})
        prepared = self._prepare(source, given)
        async with self._pool.connection() as connection, connection.transaction():
            locked = await connection.execute(lock.sql, {**lock.values, "user_ids": list(user_ids)})
            if not wait and (row := await locked.fetchone()) is not None and not row[0]:
                raise TurnTakenError
            cursor = await connection.execute(prepared.sql, {**prepared.values, **given}, binary=True)
            return await _fetched(cursor)

    async def scalar(self, source: Source, **given: Any) -> Any:
        """The first column of the first row, or None."""
        row = await self.row(source, **given)
        return None if row is None else row[0]

    async def execute(self, source: Source, **given: Any) -> None:
        """A statement that returns no rows."""
        await self._run(source, given, None)

    async def row_after_reconnecting(self, source: Source, **given: Any) -> Row | None:
        """As `row`, for a read that comes first in a request: here it is found out that the server restarted."""
        try:
            return await self.row(source, **given)
        except OperationalError:
            return await self.row(source, **given)

    async def close(self) -> None:
        await self._pool.close()

    async def _run(self, source: Source, given: dict[str, Any], fetch: Any) -> Any:
        prepared = self._prepare(source, given)
        async with self._pool.connection() as connection:
            # Binary: a series' arrays are read three times as fast as from text.
            cursor = await connection.execute(prepared.sql, {**prepared.values, **given}, binary=True)
            return None if fetch is None else await fetch(cursor)

    def _prepare(self, source: Source, given: dict[str, Any]) -> Prepared:
        if isinstance(source, Prepared):
            return source
        if isinstance(source, Executable):
            return Prepared(source)
        names = frozenset(name for name, value in given.items() if value is not None)
        found = self._prepared.get((source, names))
        if found is None:
            found = Prepared(source(**{name: bindparam(name, required=False) for name in names}))
            self._prepared[source, names] = found
        return found


async def _fetched(cursor: AsyncCursor[Any]) -> list[Row]:
    """Every row. They are all here; making Python's values of them takes a while, in which others get their turn."""
    found: list[Row] = []
    while part := await cursor.fetchmany(ROWS_PER_FETCH):
        found += part
        if len(part) == ROWS_PER_FETCH:
            await asyncio.sleep(0)
    return found
