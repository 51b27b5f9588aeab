"""The migrations lead to the tables that the programs use, also where a lab has data, and back."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

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
