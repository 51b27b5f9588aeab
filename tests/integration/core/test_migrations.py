"""The migrations lead to the tables that the processes use, also where a lab has data, and back."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError

from migrations import steps
from migrations.__main__ import upgrade
from migrations.settings import config
from models.lab_process import RefusedError
from tests.migrating import differences, step_back


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
    assert differences(connection) == []


def test_upgrading_again_changes_nothing(connection: Connection) -> None:
    upgrade(connection)
    before = connection.execute(text("SELECT version_num FROM schema_version")).all()
    connection.commit()
    upgrade(connection)
    assert connection.execute(text("SELECT version_num FROM schema_version")).all() == before


def test_database_of_a_newer_version_is_refused_and_stays_as_it_is(connection: Connection) -> None:
    upgrade(connection)
    connection.execute(text("UPDATE schema_version SET version_num = '9001'"))
    connection.commit()
    with pytest.raises(RefusedError, match=r"schema 9001 by a newer version.*restore a backup"):
        upgrade(connection)
    assert connection.execute(text("SELECT version_num FROM schema_version")).scalar() == "9001"


def test_lab_with_jobs_keeps_them(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    step_back(connection, monkeypatch)
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
    assert connection.execute(text("SELECT seed, state, shared_with FROM jobs")).all() == [(1, "queued", None)]


@pytest.mark.parametrize("revision", ["0001", "0015"])
def test_database_from_before_the_first_release_is_refused_with_what_to_do(
    connection: Connection, revision: str
) -> None:
    connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    connection.commit()
    with pytest.raises(RefusedError, match=r"before the first release.*gpulab backup.*new folder"):
        upgrade(connection)
    assert inspect(connection).get_table_names() == ["alembic_version"]


def test_every_migration_can_be_taken_back(connection: Connection) -> None:
    upgrade(connection)
    to(connection, "base")
    assert inspect(connection).get_table_names() == ["schema_version"]


def test_migration_that_gets_no_lock_lets_the_others_pass_and_is_tried_again(
    connection: Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_back(connection, monkeypatch)
    monkeypatch.setattr(steps, "LOCK_TIMEOUT_MILLISECONDS", 50)
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
        monkeypatch.setattr(steps.time, "sleep", pause)
        upgrade(connection)
    assert len(passed) == 2
    assert differences(connection) == []


def test_migration_that_never_gets_its_lock_gives_up_and_says_so(
    connection: Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_back(connection, monkeypatch)
    monkeypatch.setattr(steps, "LOCK_TIMEOUT_MILLISECONDS", 10)
    monkeypatch.setattr(steps, "TIMEOUT_SECONDS", 0.0)
    with psycopg.connect(empty_database_url) as reader:
        reader.execute("SELECT count(*) FROM jobs")
        with pytest.raises(OperationalError, match="lock timeout"):
            upgrade(connection)
        reader.rollback()
        upgrade(connection)
    assert differences(connection) == []


def test_index_whose_building_was_cut_off_is_built_anew(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_back(connection, monkeypatch)
    connection.execute(text("CREATE INDEX ix_jobs_shared ON jobs (id) WHERE state = 'never'"))
    connection.execute(text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_jobs_shared'::regclass"))
    upgrade(connection)
    assert differences(connection) == []
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_jobs_shared'::regclass"
    assert connection.execute(text(valid)).scalar_one()


def test_statements_keep_nobody_waiting_while_they_look_through_rows(connection: Connection) -> None:
    """On tables that hold rows: indexes are built beside the writers, constraints are checked after they are made."""
    to(connection, "0001")
    said: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *given: said.append(" ".join(given[2].split())))
    upgrade(connection)
    new: set[str] = set()
    wrong = []
    for statement in said:
        if statement.startswith("UPDATE schema_version"):
            new = set()
        elif made := re.match(r"CREATE TABLE (\w+)", statement):
            new.add(made[1])
        elif index := re.match(r"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY)?.* ON (\w+)", statement):
            wrong += [] if index[1] or index[2] in new else [statement]
        elif "ADD CONSTRAINT" in statement:
            wrong += [] if re.search("NOT VALID|USING INDEX", statement) else [statement]
        elif re.search(r"SET NOT NULL|ALTER COLUMN \w+ TYPE", statement):
            wrong.append(statement)
    assert said
    assert wrong == []
