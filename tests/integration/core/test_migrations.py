"""The migrations lead to the tables that the programs use, also where a lab has data, and back."""

import ast
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from migrations import __main__ as program
from migrations import settings
from migrations.__main__ import upgrade
from migrations.settings import config
from models import Base


@pytest.fixture
def connection(empty_database_url: str) -> Iterator[Connection]:
    engine = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def to(connection: Connection, revision: str) -> None:
    made = config()
    made.attributes["connection"] = connection
    moves = command.downgrade if revision == "base" else command.upgrade
    moves(made, revision)
    connection.commit()


def test_newest_tables_are_those_of_the_models(connection: Connection) -> None:
    upgrade(connection)
    assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_upgrading_again_changes_nothing(connection: Connection) -> None:
    upgrade(connection)
    before = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    connection.commit()
    upgrade(connection)
    assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == before


def test_lab_with_jobs_keeps_them(connection: Connection) -> None:
    to(connection, "0001")
    connection.execute(text("INSERT INTO users (name, role) VALUES ('ada', 'student')"))
    connection.execute(
        text(
            "INSERT INTO jobs (owner_id, experiment, spec, seed, tags, priority, time_limit_seconds, exclusive,"
            " datasets, state)"
            " SELECT id, 'dropout-linear', '{}', 1, '{}', 'normal', 60, false, '{}', 'queued' FROM users"
        )
    )
    connection.commit()
    upgrade(connection)
    assert connection.execute(text("SELECT seed, state, study_id FROM jobs")).all() == [(1, "queued", None)]


def test_every_migration_can_be_taken_back(connection: Connection) -> None:
    upgrade(connection)
    to(connection, "base")
    assert inspect(connection).get_table_names() == ["alembic_version"]


def test_migration_that_gets_no_lock_lets_the_others_pass_and_is_tried_again(
    connection: Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    to(connection, "0002")
    monkeypatch.setattr(settings, "LOCK_TIMEOUT_MILLISECONDS", 50)
    passed: list[object] = []

    def pause(_seconds: float) -> None:
        # What a long report of somebody else's would have kept waiting behind the migration.
        with psycopg.connect(empty_database_url, autocommit=True) as other:
            other.execute("SET lock_timeout = '5s'")
            passed.append(other.execute("SELECT count(*) FROM jobs").fetchone())
        if len(passed) == 2:
            reader.rollback()

    with psycopg.connect(empty_database_url) as reader:
        reader.execute("SELECT count(*) FROM jobs")
        monkeypatch.setattr(program.time, "sleep", pause)
        upgrade(connection)
    assert len(passed) == 2
    assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for found in ast.walk(tree):
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute) and found.func.attr == name:
            yield found


def test_indexes_of_tables_that_hold_rows_are_built_concurrently() -> None:
    """From the version on that first ran somewhere; those before are made with their tables."""
    for path in sorted((settings.FOLDER / "versions").glob("*.py")):
        if path.name[:4] <= "0008":
            continue
        body = next(node for node in ast.parse(path.read_text()).body if getattr(node, "name", None) == "upgrade")
        new = {ast.literal_eval(call.args[0]) for call in calls(body, "create_table")}
        for call in calls(body, "create_index"):
            concurrently = any(keyword.arg == "postgresql_concurrently" for keyword in call.keywords)
            assert ast.literal_eval(call.args[1]) in new or concurrently, f"{Path(path).name}: {ast.unparse(call)}"
