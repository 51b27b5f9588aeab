"""Whether the parts of the lab are there, as the database knows it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Boolean, Select, cast, column, func, select, table

from models.node import Node

LEADER_LOCK = 7_010_002
"""The advisory lock that the leading scheduler holds."""

_VERSION = table("schema_version", column("version_num"))
_LOCKS = table(
    "pg_locks",
    *(column(name) for name in ("locktype", "database", "classid", "objid", "objsubid", "granted")),
    schema="pg_catalog",
)
_DATABASES = table("pg_database", column("oid"), column("datname"), schema="pg_catalog")


def schema_version() -> Select[Any]:
    return select(_VERSION.c.version_num)


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


def parts(silence_seconds: float) -> Select[bool, int, bool]:
    """Whether a scheduler leads, how many nodes were heard of lately, and whether the database takes no changes."""
    heard = (
        select(func.count())
        .select_from(Node)
        .where(Node.stopped_at.is_(None), Node.heartbeat_at > func.now() - timedelta(seconds=silence_seconds))
        .scalar_subquery()
    )
    read_only = cast(func.current_setting("transaction_read_only"), Boolean)
    return select(leading().scalar_subquery().label("leading"), heard.label("nodes"), read_only.label("read_only"))
