"""Whether the parts of the lab are there, as the database knows it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, column, func, select, table

from models.node import Node

LEADER_LOCK = 7_010_002
"""The advisory lock that the leading scheduler holds."""

_VERSION = table("alembic_version", column("version_num"))
_LOCKS = table("pg_locks", column("locktype"), column("objid"), column("granted"), schema="pg_catalog")


def schema_version() -> Select[Any]:
    return select(_VERSION.c.version_num)


def parts(silence_seconds: float) -> Select[bool, int]:
    """Whether a scheduler leads, and how many nodes were heard of lately."""
    leading = (
        select(_LOCKS.c.objid)
        .where(_LOCKS.c.locktype == "advisory", _LOCKS.c.objid == LEADER_LOCK, _LOCKS.c.granted)
        .exists()
    )
    heard = (
        select(func.count())
        .select_from(Node)
        .where(Node.stopped_at.is_(None), Node.heartbeat_at > func.now() - timedelta(seconds=silence_seconds))
        .scalar_subquery()
    )
    return select(leading.label("leading"), heard.label("nodes"))
