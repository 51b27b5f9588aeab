"""The engine, and what counts as the database being away.

One statement or one short transaction at a time; nothing holds a connection while it waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# The lab has no use for a server that takes no changes, such as a standby or a primary that was demoted.
WRITABLE: dict[str, Any] = {"target_session_attrs": "read-write"}
WATCHFUL: dict[str, Any] = {
    **WRITABLE,
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""A cut network says nothing: without these a connection waits for a quarter of an hour. Unix sockets ignore them."""
SILENT_SECONDS = 10.0
"""A worker frozen within a transaction keeps its rows locked; the server ends the transaction after that long."""
AWAY_CLASSES = ("08", "53", "58")
"""SQLSTATE classes: the connection broke, the server lacks memory, disk or connections, its operating system failed."""
AWAY_STATES = frozenset(
    {
        "25006",  # read-only: a standby, or a failover under way
        "25P03",  # the server ended a session that was idle within a transaction
        "25P04",  # the same, since the transaction took too long
        "57P01",  # the server shuts down, or an admin ended the session
        "57P02",  # the server crashed
        "57P03",  # the server starts, stops or recovers
        "57P04",  # the database was dropped
        "57P05",  # the session was idle for too long
    }
)


class DatabaseAwayError(psycopg.OperationalError):
    """The database cannot do its work now. The connection is gone from its pool; try again later."""


DATABASE_AWAY = (psycopg.OperationalError, OperationalError, PoolTimeoutError)
"""What is worth another try: the database is away or takes no changes, two transactions got in each other's way, or the
server is so slow that threads waited in vain for one of the pool's connections."""


def is_away(error: BaseException) -> bool:
    """Whether the fault is the server's or the network's, so that the connection is of no use any more."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        # libpq gives no code where the connection could not be made, or was cut.
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in AWAY_STATES or error.sqlstate.startswith(AWAY_CLASSES)


def first_line(error: BaseException) -> str:
    """What a log line needs of an error."""
    return str(error).strip().partition("\n")[0]


@contextmanager
def noticing_absence() -> Iterator[None]:
    """Raise `DatabaseAwayError` in the place of psycopg's many ways to say it."""
    try:
        yield
    except psycopg.Error as error:
        if is_away(error):
            raise DatabaseAwayError(first_line(error)) from error
        raise


@contextmanager
def listening_connection(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A new connection, outside any pool and transaction. Raises `DatabaseAwayError`."""
    with noticing_absence(), psycopg.connect(url, autocommit=True, **settings_of(url, WATCHFUL)) as connection:
        yield connection


def settings_of(url: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """`wanted` without what the address itself settles. Our own `options` go before its."""
    given = psycopg.conninfo.conninfo_to_dict(url)
    return {name: value for name, value in wanted.items() if name not in given or name == "options"}


def sync_engine(url: str, *, pool_size: int = 5, silent_seconds: float = 0.0) -> Engine:
    """For the scheduler and the worker. Its statements raise one of `DATABASE_AWAY` where another try is worthwhile.

    `silent_seconds`: the server ends a transaction that sent nothing for this time; 0 for never. The scheduler needs
    0: it sorts the whole queue within one transaction, which can take long on a busy machine.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=False,
        connect_args={
            # Each statement is planned once a connection; psycopg prepares it on its second use.
            "prepare_threshold": 1,
            "options": f"-c idle_in_transaction_session_timeout={round(silent_seconds * 1000)}",
            **settings_of(f"postgresql://{url.partition('://')[2]}", WATCHFUL),
        },
    )
    event.listen(engine, "handle_error", _drop_connections)
    return engine


def _drop_connections(context: ExceptionContext) -> None:
    """What cut or closed one connection has mostly done so to all: the pool begins anew."""
    error = context.original_exception
    if is_away(error):
        context.is_disconnect = True
        raise DatabaseAwayError(first_line(error)) from error
