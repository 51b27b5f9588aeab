"""A real server goes read-only, ends sessions and runs out of connections, and comes back: programs heal by themselves.

Of the API: tests/integration/api/test_database_away.py.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.exc import ProgrammingError

from gpulab.threads import VitalThread
from models import Job, Node
from models.database import DatabaseAwayError, listening_connection, sync_engine
from models.settings import SchedulerSettings
from scheduler.loop import Scheduler
from server.embedded import EmbeddedPostgres
from tests.failover import end_sessions, read_only
from tests.lab import wait_until

WRITE = text("UPDATE nodes SET slots = slots")


@contextmanager
def scheduling(database_url: str, redis_url: str) -> Iterator[None]:
    """A scheduler in a thread of its own."""
    settings = SchedulerSettings(
        database_url=database_url, redis_url=redis_url, artifacts_url="file:///nowhere", tick_seconds=0.1
    )
    stop, engine = Event(), sync_engine(settings.sqlalchemy_url, pool_size=2)
    thread = VitalThread("scheduler under test", Scheduler(settings, engine, stop).run, until=stop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        engine.dispose()
    assert not thread.is_alive()


def test_read_only_server_is_away_until_it_takes_changes_again(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(WRITE)
    with read_only(database_url):
        with pytest.raises(DatabaseAwayError, match="read-only"), engine.begin() as connection:
            connection.execute(WRITE)
        # No connection to it is kept, and none is made.
        with pytest.raises(DatabaseAwayError, match="session is read-only"), engine.connect():
            pass
        with pytest.raises(DatabaseAwayError, match="read-only"), listening_connection(database_url):
            pass
    with engine.begin() as connection:
        connection.execute(WRITE)


def test_ended_session_costs_one_statement(engine: Engine, database_url: str) -> None:
    with engine.connect() as one, engine.connect() as other:
        one.execute(text("SELECT 1"))
        other.execute(text("SELECT 1"))
        one.rollback()
        end_sessions(database_url)
        with pytest.raises(DatabaseAwayError):
            other.execute(text("SELECT 1"))
    with engine.begin() as connection:
        connection.execute(WRITE)


def test_refused_statement_is_no_absence(engine: Engine) -> None:
    pids = set()
    for _ in range(2):
        with engine.connect() as connection:
            pids.add(connection.execute(text("SELECT pg_backend_pid()")).scalar())
            with pytest.raises(ProgrammingError, match="does not exist"):
                connection.execute(text("SELECT * FROM nowhere"))
    assert len(pids) == 1, "the connection is as good as before"


def test_server_without_free_connections_is_away(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg", durable=False, settings={"max_connections": "5"}) as server:
        engine = sync_engine(server.url.replace("postgresql://", "postgresql+psycopg://"), pool_size=2)
        with ExitStack() as held:
            for _ in range(5):
                held.enter_context(psycopg.connect(server.url))
            with pytest.raises(DatabaseAwayError, match="too many clients"), engine.connect():
                pass
        wait_until(lambda: _answers(engine), what="a free connection")
        engine.dispose()


def _answers(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            return bool(connection.execute(text("SELECT 1")).scalar())
    except DatabaseAwayError:
        return False


@pytest.mark.parametrize("trouble", [read_only, None])
def test_scheduler_outlives_it(
    trouble: Any,
    database_url: str,
    redis_url: str,
    node: str,
    make_job: Callable[..., UUID],
    engine: Engine,
    execute: Callable[..., list[Any]],
) -> None:
    def state_of(job_id: UUID) -> str:
        with engine.connect() as connection:
            return str(connection.execute(Job.__table__.select().where(Job.id == job_id)).one().state)

    with scheduling(database_url, redis_url):
        first = make_job()
        wait_until(lambda: state_of(first) == "leased", what="a lease")
        if trouble is None:
            end_sessions(database_url)
        else:
            with trouble(database_url):
                end_sessions(database_url)
        wait_until(lambda: _answers(engine), what="the database")
        execute(update(Node).values(heartbeat_at=text("now()")))
        second = make_job()
        wait_until(lambda: state_of(second) == "leased", what="a lease after it")
