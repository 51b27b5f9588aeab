"""A real PostgreSQL in the states of a failover."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.lab import wait_until


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """The whole server takes no changes, as while another becomes the primary."""
    _switch(url, "ALTER SYSTEM SET default_transaction_read_only = on", "on")
    try:
        yield
    finally:
        _switch(url, "ALTER SYSTEM RESET default_transaction_read_only", "off")


def end_sessions(url: str) -> None:
    """End every other session of this database, as an admin, a proxy or a restart would."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def _switch(url: str, order: str, shown: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(order)
        connection.execute("SELECT pg_reload_conf()")

    def arrived() -> bool:
        with psycopg.connect(url) as fresh:
            row = fresh.execute("SHOW default_transaction_read_only").fetchone()
            return row is not None and row[0] == shown

    wait_until(arrived, what=f"default_transaction_read_only = {shown}")
