"""Workers of other machines have rights on the tables that the gate names, and on no other."""

from gate.postgres import HIDDEN, IN_PART, READ, WRITTEN
from models import Base

VERSIONS = "schema_version"
"""Alembic's own."""


def test_every_table_is_written_read_or_hidden() -> None:
    """A new table goes into one of the lists of `gate/postgres.py`: may a worker write it, read it, or neither?"""
    named = [*WRITTEN, *READ, *IN_PART, *HIDDEN]
    assert sorted(named) == sorted({*Base.metadata.tables, VERSIONS})
