"""The engine. One statement or one short transaction at a time; nothing holds a connection while it waits."""

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

WATCHFUL: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""A cut network says nothing: without these a connection waits for a quarter of an hour. Unix sockets ignore them."""
SILENT_SECONDS = 10.0
"""A worker frozen within a transaction keeps its rows locked; the server ends the transaction after that long."""
DATABASE_AWAY = (DBAPIError, PoolTimeoutError)
"""The database cannot be reached, or so slowly that threads waited in vain for one of the pool's connections."""


def sync_engine(url: str, *, pool_size: int = 5, silent_seconds: float = 0.0) -> Engine:
    """For the scheduler and the worker.

    `silent_seconds`: the server ends a transaction in which nothing came from us for so long; 0 for never, since the
    scheduler sorts a whole queue in one of its own, and no one knows how long a busy machine takes over that.
    """
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=False,
        connect_args={
            # Each statement is planned once a connection; psycopg prepares it on its second use.
            "prepare_threshold": 1,
            "options": f"-c idle_in_transaction_session_timeout={round(silent_seconds * 1000)}",
            **WATCHFUL,
        },
    )
