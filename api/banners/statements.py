"""Banners that staff wrote, and machines that are drained."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from models.composed import statement
from models.tables.node import Node
from models.tables.notifications.banner import Banner
from models.times import ago

MAX_SHOWN = 20
GONE_DAYS = 7.0
"""A drained machine that has been off for longer is not announced any more."""


@statement
def shown() -> Select[*tuple[Any, ...]]:
    """What has not ended, newest first."""
    newest = select(*Banner.__table__.columns).where(Banner.ends_at > func.now())
    return newest.order_by(Banner.id.desc()).limit(MAX_SHOWN)


@statement
def draining() -> Select[*tuple[Any, ...]]:
    return (
        select(Node.name, Node.reason)
        .where(Node.draining, Node.heartbeat_at > ago(GONE_DAYS * 86_400.0))
        .order_by(Node.name)
        .limit(MAX_SHOWN)
    )


@statement
def add(text: str, *, ends_at: datetime, starts_at: datetime | None = None) -> ReturningInsert[*tuple[Any, ...]]:
    made = insert(Banner).values(text=text, ends_at=ends_at, starts_at=starts_at)
    return made.returning(*Banner.__table__.columns)


@statement
def end(banner_id: UUID) -> ReturningDelete[UUID]:
    return delete(Banner).where(Banner.id == banner_id).returning(Banner.id)
