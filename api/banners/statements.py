"""Banners that staff wrote, and machines that are drained."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Uuid, cast, delete, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, array, insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from models.composed import statement
from models.tables.node import Node
from models.tables.notifications.banner import Banner
from models.times import ago

MAX_SHOWN = 20
GONE_DAYS = 7.0
"""A drained machine that has been off for longer is not announced any more."""


@statement
def shown(
    reader: UUID | None = None, courses: Sequence[UUID] = (), taught: Sequence[UUID] = ()
) -> Select[*tuple[Any, ...]]:
    """What has not ended, newest first.

    If there is a `reader`, only what is for them as a member of `courses`, or of a course `taught` by them.
    """
    newest = select(*Banner.__table__.columns).where(Banner.ends_at > func.now())
    if reader is not None:
        is_member = or_(Banner.course_id.is_(None), Banner.course_id == func.any(courses))
        named = Banner.readers.contains(cast(array([reader]), ARRAY(Uuid)))
        newest = newest.where(or_(Banner.readers.is_(None) & is_member, named, Banner.course_id == func.any(taught)))
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
def by_id(banner_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*Banner.__table__.columns).where(Banner.id == banner_id)


@statement
def add(
    text: str,
    *,
    ends_at: datetime,
    course_id: UUID | None = None,
    starts_at: datetime | None = None,
    readers: Sequence[UUID] | None = None,
) -> ReturningInsert[*tuple[Any, ...]]:
    values = {"text": text, "course_id": course_id, "ends_at": ends_at, "starts_at": starts_at, "readers": readers}
    made = insert(Banner).values(**values)
    return made.returning(*Banner.__table__.columns)


@statement
def end(banner_id: UUID) -> ReturningDelete[UUID]:
    return delete(Banner).where(Banner.id == banner_id).returning(Banner.id)
