"""Poolers that share one session of PostgreSQL between clients, as PgBouncer does in transaction mode.

The lab needs its own sessions, because notices, the leader's lock, prepared statements and settings live in them.
"""

ADVICE = (
    "the address leads to a pooler that shares sessions between clients (PgBouncer with pool_mode = transaction or "
    "statement), where LISTEN, advisory locks, prepared statements and SET do not work: give DATABASE_URL the address "
    "of PostgreSQL itself, or of a pool with pool_mode = session"
)


def shares_sessions(url: str) -> bool:
    """Whether two clients may get one session. Raises `psycopg.Error`."""
    import psycopg

    def session_of(connection: "psycopg.Connection[tuple[int]]") -> int:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None  # noqa: S101 - it has one row
        return row[0]

    def connect() -> "psycopg.Connection[tuple[int]]":
        return psycopg.connect(url, autocommit=True, prepare_threshold=None, connect_timeout=10)

    with connect() as first, connect() as second:
        alone = session_of(first)
        try:
            second.execute("BEGIN")
        except psycopg.Error as error:
            if "pooling mode" in str(error):
                return True
            raise
        # The second takes a session for its transaction: of a direct address never the first one's, which is held.
        return session_of(second) == alone or session_of(first) != alone
