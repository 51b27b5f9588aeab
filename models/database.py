"""Engines and sessions. One statement or one short transaction at a time; nothing holds a connection while it waits."""

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

WATCHFUL: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""A cut network says nothing: without these a connection waits for a quarter of an hour. Unix sockets ignore them."""
DATABASE_AWAY = (DBAPIError, PoolTimeoutError)
"""The database cannot be reached, or so slowly that threads waited in vain for one of the pool's connections."""
OPTIONS: dict[str, Any] = {
    "pool_pre_ping": False,
    # Each statement is planned once a connection; psycopg prepares it on its second use.
    "connect_args": {"prepare_threshold": 1, **WATCHFUL},
}


def sync_engine(url: str, *, pool_size: int = 5) -> Engine:
    """For the scheduler and the worker."""
    return create_engine(url, pool_size=pool_size, max_overflow=pool_size, **OPTIONS)


def async_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """For the API."""
    return create_async_engine(url, pool_size=pool_size, max_overflow=0, **OPTIONS)
