"""The real parts for tests: one PostgreSQL and one Redis a pytest process, a fresh migrated database a test."""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from typing import Any

import psycopg
import pytest
from alembic import command
from sqlalchemy import Engine, create_engine

from gpulab.proxies import spare_loopback
from migrations.settings import config
from models import Base
from models.database import sync_engine
from models.tables.courses import DEFAULT_COURSE_ID
from server.child_process import tail
from server.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.lab import PYTHON_PATH, Lab
from tests.templates import Templates

_numbers = itertools.count(1)
# Before any test loads torch: threads that spin while they wait starve the other test processes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A shell's background job ignores SIGINT and hands that on to every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
spare_loopback()
MAX_SWEPT_BYTES = 2**18
_TEMPORARY_ROOT = "PYTEST_DEBUG_TEMPROOT"


def pytest_configure(config: pytest.Config) -> None:
    """As root, give each session a temporary root of its own. Labs start from templates.

    pytest closes the shared one (mode 0700) at every start, and the database server of a session under way, which does
    not run as root, would lose sight of its files.
    """
    if os.geteuid() == 0 and _TEMPORARY_ROOT not in os.environ:
        folder = tempfile.mkdtemp(prefix="gpulab-tests-")
        os.environ[_TEMPORARY_ROOT] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    Lab.templates = Templates({**os.environ, "PYTHONPATH": PYTHON_PATH})
    config.add_cleanup(Lab.templates.stop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the processes of the test's lab said last: their logs are gone when it is read."""
    report = yield
    if report.failed:
        labs = {id(given): given for given in getattr(item, "funcargs", {}).values() if isinstance(given, Lab)}
        for lab in labs.values():
            for log in sorted(lab.folder.glob("*.log")):
                report.sections.append((f"{lab.folder.name}/{log.name}", tail(log, 25)))
    return report


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A real server, without fsync."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


MIGRATED_COURSE = f"INSERT INTO courses (id, name) VALUES ('{DEFAULT_COURSE_ID}', 'Default course')"  # noqa: S608
"""The row that a migration makes."""


@pytest.fixture(scope="session")
def _migrated(postgres: EmbeddedPostgres) -> str:
    url = new_database(postgres, "migrated")
    made = config()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        made.attributes["connection"] = connection
        command.upgrade(made, "head")
    engine.dispose()
    return url


@pytest.fixture
def database_url(_migrated: str) -> Iterator[str]:
    """A migrated database, empty: what a test leaves in it is swept out after it."""
    yield _migrated
    with psycopg.connect(_migrated, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '10s'")
        sweep(connection)
        connection.execute(MIGRATED_COURSE)


@pytest.fixture(scope="session")
def _engine(_migrated: str) -> Iterator[Engine]:
    made = sync_engine(_migrated.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    made.dispose()


@pytest.fixture
def engine(database_url: str, _engine: Engine) -> Iterator[Engine]:
    """On the test's database. It knows the SQL of what earlier tests ran, and nothing else of them."""
    made = _engine.execution_options()
    yield made
    made.dispose()


def sweep(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Empty every table. A few rows are deleted: to truncate all tables takes ten times as long."""
    names = [table.name for table in Base.metadata.sorted_tables]
    used = connection.execute(
        "SELECT name, pg_relation_size(name::regclass) FROM unnest(%s::text[]) AS name"
        " WHERE pg_relation_size(name::regclass) > 0",
        [names],
    ).fetchall()
    if any(size > MAX_SWEPT_BYTES for _, size in used):
        connection.execute(f"TRUNCATE {', '.join(names)} RESTART IDENTITY")
        return
    # In any order, whatever refers to the rows and whatever guards them.
    connection.execute("SET session_replication_role = replica")
    connection.execute("; ".join(f"DELETE FROM {name}" for name, _ in used))  # noqa: S608 - our own names
    connection.execute(
        "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)"
        " FROM pg_sequences WHERE last_value IS NOT NULL"
    )
    connection.execute("RESET session_replication_role")


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database without any table, for tests of the migrations."""
    name = f"empty_{next(_numbers)}"
    yield new_database(postgres, name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def new_database(server: EmbeddedPostgres, name: str) -> str:
    """Make a database on the server; returns its address."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    head, _, query = server.url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{query}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One whole lab for the tests that do not break it, or leave it whole again."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    try:
        yield made.start()
    finally:
        made.stop()
