"""Statements against the database. A connection is held for the statement alone.

SQLAlchemy writes the SQL, once for each shape of a statement; psycopg runs it. Composing and compiling a statement anew
at every request, and crossing into SQLAlchemy's engine, costs several times what the statement itself does.
"""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec
from uuid import UUID

from psycopg import AsyncCursor, OperationalError
from psycopg.errors import QueryCanceled
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from api.sql.pool import Pool
from models.composed import Statement
from models.statements import allowances

P = ParamSpec("P")

DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy leaves it unannotated

ROWS_PER_FETCH = 50
"""Rows read before the loop turns to others."""
Row = Any
"""A named tuple of the statement's columns."""


class SqlText(NamedTuple):
    """A statement as psycopg takes it, with the values that are part of it."""

    sql: str
    values: Mapping[str, Any]


_TEXTS: dict[tuple[Any, Hashable], SqlText] = {}


def sql_of(statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs) -> SqlText:
    """The text and all its values; SQLAlchemy writes the text once for every set of arguments that is given."""
    if args:
        raise TypeError(f"name the arguments of {statement!r}")
    key = statement.key(kwargs)
    found = None if key is None else _TEXTS.get((statement, key))
    if found is None:
        found = _compiled(statement.composed(kwargs))
        if key is not None:
            _TEXTS[statement, key] = found
    return SqlText(found.sql, {**found.values, **statement.values(kwargs)})


def _compiled(statement: Any) -> SqlText:
    assert isinstance(statement, ClauseElement)  # noqa: S101 - every statement of ours is
    compiled = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - and none is DDL
    return SqlText(str(compiled), compiled.construct_params(_check=False))


class TurnTakenError(Exception):
    """Something else of the same user is being stored."""


class TookTooLongError(Exception):
    """The statement was ended at its time limit."""


class Database:
    def __init__(self, url: str, *, pool_size: int, of_one: int | None = None) -> None:
        """At most `pool_size` connections, of which one user has `of_one` at most."""
        self._pool = Pool(url, pool_size, of_one=pool_size if of_one is None else of_one)

    async def rows(self, statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs) -> Sequence[Row]:
        """Every row."""
        found: list[Row] = await self._run(sql_of(statement, *args, **kwargs), _fetched)
        return found

    async def row(self, statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs) -> Row | None:
        """The first row, or None."""
        return await self._run(sql_of(statement, *args, **kwargs), AsyncCursor.fetchone)

    async def scalar(self, statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """The first column of the first row, or None."""
        row = await self.row(statement, *args, **kwargs)
        return None if row is None else row[0]

    async def execute(self, statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """A statement that returns no rows."""
        await self._run(sql_of(statement, *args, **kwargs), None)

    async def rows_in_turn(
        self, user_ids: Sequence[UUID], statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Sequence[Row]:
        """As `rows`, of a statement that counts what these users have and adds to it: one at a time for each user."""
        lock = sql_of(allowances.one_at_a_time, user_ids=list(user_ids))
        return await self._locked(lock, sql_of(statement, *args, **kwargs))

    async def rows_if_free(
        self, user_ids: Sequence[UUID], statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Sequence[Row]:
        """As `rows_in_turn`, without waiting. Raises `TurnTakenError` where one of the users is being served."""
        lock = sql_of(allowances.one_at_a_time_now, user_ids=list(user_ids))
        return await self._locked(lock, sql_of(statement, *args, **kwargs))

    async def rows_within(
        self, seconds: float, statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Sequence[Row]:
        """As `rows`, of a statement that may read much. Raises `TookTooLongError` when the time is up."""
        asked = sql_of(statement, *args, **kwargs)
        async with self._pool.connection() as connection:
            try:
                async with connection.transaction():
                    await connection.execute(
                        "SELECT set_config('statement_timeout', %s, true)", [f"{1000 * seconds:.0f}"]
                    )
                    # Its text differs each time: keeping it prepared would only take room.
                    cursor = await connection.execute(asked.sql, asked.values, binary=True, prepare=False)
                    return await _fetched(cursor)
            except QueryCanceled as error:
                raise TookTooLongError from error

    async def row_after_reconnecting(self, statement: Statement[P], /, *args: P.args, **kwargs: P.kwargs) -> Row | None:
        """As `row`, for a read that comes first in a request: here it is found out that the server restarted."""
        try:
            return await self.row(statement, *args, **kwargs)
        except OperationalError:
            return await self.row(statement, *args, **kwargs)

    async def close(self) -> None:
        await self._pool.close()

    async def _run(self, text: SqlText, fetch: Any) -> Any:
        async with self._pool.connection() as connection:
            # Binary: a series' arrays are read three times as fast as from text.
            cursor = await connection.execute(text.sql, text.values, binary=True)
            return None if fetch is None else await fetch(cursor)

    async def _locked(self, lock: SqlText, text: SqlText) -> Sequence[Row]:
        async with self._pool.connection() as connection, connection.transaction():
            locked = await connection.execute(lock.sql, lock.values)
            if (row := await locked.fetchone()) is not None and row[0] is False:
                raise TurnTakenError
            cursor = await connection.execute(text.sql, text.values, binary=True)
            return await _fetched(cursor)


async def _fetched(cursor: AsyncCursor[Any]) -> list[Row]:
    """Every row. They are all here; making Python's values of them takes a while, in which others get their turn."""
    found: list[Row] = []
    while part := await cursor.fetchmany(ROWS_PER_FETCH):
        found += part
        if len(part) == ROWS_PER_FETCH:
            await asyncio.sleep(0)
    return found
