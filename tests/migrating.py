"""A lab one version behind: a sample migration lies ahead of it, whatever the product's newest one is."""

import os
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

import migrations.__main__
from migrations.__main__ import upgrade
from migrations.settings import FOLDER, VERSION_TABLE, config
from models import Base

SAMPLE = Path(__file__).parent / "sample_migration"


def step_back(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the newest tables, then take the sample migration back. `upgrade` knows it from here on."""
    upgrade(connection)
    monkeypatch.setattr(migrations.__main__, "config", with_sample)
    made = with_sample()
    made.attributes["connection"] = connection
    command.stamp(made, "sample")
    command.downgrade(made, "-1")
    assert differences(connection)


def with_sample() -> Config:
    made = config()
    made.set_main_option("path_separator", "os")
    made.set_main_option("version_locations", os.pathsep.join([str(FOLDER / "versions"), str(SAMPLE)]))
    return made


def differences(connection: Connection) -> list[Any]:
    """Between the tables that are there and those of the models."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return list(compare_metadata(context, Base.metadata))


def version_of(connection: Connection) -> str:
    found: str = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one()  # noqa: S608
    connection.commit()
    return found
