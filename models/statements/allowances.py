"""What one user has of what is limited when they submit."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    SQLColumnExpression,
    Text,
    Uuid,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import aliased

from gpulab.states import JobState, Role
from models.composed import statement
from models.tables.artifact import Artifact
from models.tables.job import Job
from models.tables.program import Program, ProgramUpload
from models.tables.user import User

ONE_AT_A_TIME = 0x67706C6162
"""Seed of the advisory locks of users: keeps their keys apart from those of the lab's other locks."""


@statement
def one_at_a_time(user_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """Until the transaction ends, no other transaction that starts with this adds anything for these users.

    A statement counts what was committed before it began. Run this as a separate statement before the one that
    counts and inserts, or two that run at once both find room for the last.
    """
    return select(func.pg_advisory_xact_lock(_lock_key(user_ids)))


@statement
def one_at_a_time_now(user_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """As `one_at_a_time`, without waiting: whether all of them were free."""
    return select(func.bool_and(func.pg_try_advisory_xact_lock(_lock_key(user_ids))))


def _lock_key(user_ids: Sequence[UUID]) -> ColumnElement[int]:
    given = func.unnest(cast(user_ids, ARRAY(Uuid))).column_valued("given")
    # In one order, so that two that lock the same users never wait for each other.
    ordered = select(cast(given, Text).label("user_id")).distinct().order_by("user_id").subquery()
    return func.hashtextextended(ordered.c.user_id, ONE_AT_A_TIME)


def room(user_ids: Select[Any], max_queued: Any) -> CTE:
    """Of each user: `free`, how many further jobs may wait; null is no limit. `max_queued` is the lab's limit.

    A user's own limit replaces the lab's. Admins have none.
    """
    waiting = (
        select(func.count()).where(Job.state == JobState.QUEUED, Job.owner_id == User.id).correlate(User)
    ).scalar_subquery()
    limit = func.coalesce(User.max_queued, cast(max_queued, Integer))
    free = case((User.role == Role.ADMIN.value, null()), else_=limit - waiting)
    return select(User.id.label("user_id"), free.label("free")).where(User.id.in_(user_ids)).cte("room")


def has_room(user_id: Any, more: SQLColumnExpression[Any] | ColumnElement[Any], found: CTE) -> ColumnElement[bool]:
    """Whether `more` jobs of the user fit, by what `room` found. None always fit."""
    free = select(found.c.free).where(found.c.user_id == user_id).scalar_subquery()
    return or_(more <= literal(0), func.coalesce(more <= free, True))


@statement
def queue(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """How many of the user's jobs wait, and the user's own limit; null means the lab's limit."""
    waiting = select(func.count()).where(Job.state == JobState.QUEUED, Job.owner_id == User.id).correlate(User)
    return select(waiting.scalar_subquery().label("queued"), User.max_queued).where(User.id == user_id)


@statement
def stored_bytes(user_id: UUID) -> Select[int]:
    """What the files of their jobs take, and the programs that they sent."""
    files = select(_sum(Artifact.size_bytes)).join(Job, Job.id == Artifact.job_id).where(Job.owner_id == user_id)
    return select(cast(files.scalar_subquery() + _program_bytes(user_id), BigInteger))


@statement
def lock_owner(job_id: UUID) -> Select[UUID]:
    """Until the transaction ends, no other names files of the same owner. Jobs may be submitted meanwhile."""
    owner = select(Job.owner_id).where(Job.id == job_id).scalar_subquery()
    return select(User.id).where(User.id == owner).with_for_update(key_share=True)


@statement
def of_owner(job_id: UUID) -> Select[str, int, dict[str, int] | None]:
    """Of a job's owner: the role, `taken` bytes of all their files and programs, and `sizes` of this job's by name."""
    job = aliased(Job)
    taken = cast(_sum(Artifact.size_bytes) + _program_bytes(User.id), BigInteger)
    sizes = func.jsonb_object_agg(Artifact.name, Artifact.size_bytes, type_=JSONB).filter(Artifact.job_id == job_id)
    return (
        select(User.role, taken.label("taken"), sizes.label("sizes"))
        .join_from(job, User, User.id == job.owner_id)
        .outerjoin(Job, Job.owner_id == User.id)
        .outerjoin(Artifact, Artifact.job_id == Job.id)
        .where(job.id == job_id)
        .group_by(User.id)
    )


def _program_bytes(user_id: Any) -> ColumnElement[int]:
    sent = select(_sum(Program.size_bytes)).join_from(Program, ProgramUpload)
    return sent.where(ProgramUpload.user_id == user_id).correlate(User).scalar_subquery()


def _sum(sizes: Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(sizes), 0)
