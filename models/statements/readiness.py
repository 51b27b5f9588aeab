"""Whether the parts of the lab are there, as the database knows it."""

from typing import Any

import psycopg
from sqlalchemy import Boolean, ColumnElement, Select, cast, column, func, select, table

from models.composed import statement
from models.tables.node import Node
from models.times import ago

LEADER_LOCK = 7_010_002
"""The advisory lock that the leading scheduler holds."""

_VERSION = table("schema_version", column("version_num"))
_LOCKS = table(
    "pg_locks",
    *(column(name) for name in ("locktype", "database", "classid", "objid", "objsubid", "granted")),
    schema="pg_catalog",
)
_DATABASES = table("pg_database", column("oid"), column("datname"), schema="pg_catalog")


@statement
def schema_version() -> Select[Any]:
    return select(_VERSION.c.version_num)


def try_to_lead(connection: psycopg.Connection[Any]) -> bool:
    """Take the leader's seat, where it is free, on a connection outside of every pool: it is held as long as that."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK]).fetchone()
    return bool(row and row[0])


@statement
def leading() -> Select[bool]:
    """Whether some scheduler leads this lab: the server shows the locks of all its databases."""
    here = select(_DATABASES.c.oid).where(_DATABASES.c.datname == func.current_database()).scalar_subquery()
    held = (
        select(_LOCKS.c.objid)
        .where(
            _LOCKS.c.locktype == "advisory",
            # A key of 64 bits lies in two columns; ours leaves the upper one empty.
            _LOCKS.c.classid == 0,
            _LOCKS.c.objid == LEADER_LOCK,
            _LOCKS.c.objsubid == 1,
            _LOCKS.c.granted,
            _LOCKS.c.database == here,
        )
        .exists()
    )
    return select(held.label("leading"))


@statement
def read_only() -> Select[bool]:
    """Whether the database takes no changes."""
    return select(_read_only())


def _read_only() -> ColumnElement[bool]:
    return cast(func.current_setting("transaction_read_only"), Boolean)


@statement
def parts(silence_seconds: float) -> Select[bool, int, bool]:
    """Whether a scheduler leads, how many nodes were heard of lately, and whether the database takes no changes."""
    heard = (
        select(func.count())
        .select_from(Node)
        .where(Node.stopped_at.is_(None), Node.heartbeat_at > ago(silence_seconds))
        .scalar_subquery()
    )
    return select(leading().scalar_subquery().label("leading"), heard.label("nodes"), _read_only().label("read_only"))
