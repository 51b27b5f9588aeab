"""Delivering notifications: a sender claims a user's channel, sends all that waits there, and says how it went.

At least once: a sender that dies between sending and `sent` leaves the claim to run out, and the message is sent again.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Delete,
    Select,
    and_,
    case,
    delete,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate

from models.composed import statement
from models.tables.assignment import Assignment
from models.tables.courses import Course, CourseMember
from models.tables.job import Job
from models.tables.notifications.outbox import Notification, NotificationChannel
from models.tables.study import Study
from models.tables.user import User
from models.times import ago, from_now

KEPT_DAYS = 30
"""What was sent is kept this long, to remind nobody twice."""
UNSENT = Notification.sent_at.is_(None)


@statement
def claim(
    channels: Sequence[str], *, limit: int, claim_seconds: float, gather_seconds: float
) -> ReturningUpdate[*tuple[Any, ...]]:
    """Channels on which something waits, for this sender alone during `claim_seconds`.

    The first thing waits `gather_seconds` for others, to travel in one message.
    """
    waiting = select(Notification.id).where(
        Notification.user_id == NotificationChannel.user_id,
        Notification.channel == NotificationChannel.channel,
        UNSENT,
        Notification.at < ago(gather_seconds),
    )
    due = (
        select(NotificationChannel.user_id, NotificationChannel.channel)
        .join(User, User.id == NotificationChannel.user_id)
        .where(
            NotificationChannel.channel == func.any(channels),
            NotificationChannel.next_at <= func.now(),
            User.disabled_at.is_(None),
            waiting.exists(),
        )
        .order_by(NotificationChannel.next_at)
        .limit(limit)
        .with_for_update(of=NotificationChannel, skip_locked=True)
        .cte("due")
    )
    return (
        update(NotificationChannel)
        .where(
            NotificationChannel.user_id == due.c.user_id,
            NotificationChannel.channel == due.c.channel,
            User.id == due.c.user_id,
        )
        .values(next_at=from_now(claim_seconds))
        .returning(
            NotificationChannel.user_id,
            NotificationChannel.channel,
            NotificationChannel.webhook_url,
            NotificationChannel.failures,
            User.email,
            User.time_zone,
        )
    )


@statement
def unsent(user_id: UUID, channel: str, limit: int) -> Select[*tuple[Any, ...]]:
    """What waits on a channel, oldest first. A run that repeats another user's has no name: it may tell whose it is.

    To a user in several courses, an assignment is named with its course.
    """
    in_several = select(func.count() > 1).where(CourseMember.user_id == user_id).scalar_subquery()
    of_course = func.concat(Assignment.name, " (", Course.name, ")")
    first = aliased(Job)
    foreign = first.owner_id.is_distinct_from(Job.owner_id) & Job.retry_of.is_not(None)
    return (
        select(
            *(Notification.id, Notification.kind, Notification.job_id, Notification.assignment_id, Notification.node),
            *(Notification.due_at, Notification.at),
            case((foreign, null()), else_=Job.name).label("name"),
            *(Job.experiment, Job.state, Job.cause, Job.wait_reason, Job.study_id),
            func.coalesce(Study.name, Study.title).label("study"),
            case((in_several & Assignment.id.is_not(None), of_course), else_=Assignment.name).label("assignment"),
        )
        .outerjoin(Job, Job.id == Notification.job_id)
        .outerjoin(first, first.id == Job.retry_of)
        .outerjoin(Study, and_(Study.id == Job.study_id, Study.owner_id == Job.owner_id))
        .outerjoin(Assignment, Assignment.id == Notification.assignment_id)
        .outerjoin(Course, Course.id == Assignment.course_id)
        .where(Notification.user_id == user_id, Notification.channel == channel, UNSENT)
        .order_by(Notification.id)
        .limit(limit)
    )


@statement
def sent(user_id: UUID, channel: str, ids: Sequence[int], *, rest_seconds: float) -> Select[Any]:
    """They were delivered; the channel rests. Returns their number."""
    marked = update(Notification).where(_these(ids)).values(sent_at=func.now()).returning(Notification.id).cte("marked")
    rests = _changed(
        user_id,
        channel,
        {
            "next_at": from_now(rest_seconds),
            "failures": 0,
            "last_error": None,
            "last_error_at": None,
            "last_sent_at": func.now(),
        },
    )
    return select(func.count(marked.c.id)).add_cte(rests)


@statement
def failed(
    user_id: UUID,
    channel: str,
    ids: Sequence[int],
    *,
    error: str,
    pause_seconds: float,
    max_attempts: int,
    max_age_seconds: float,
) -> Select[Any]:
    """They were not delivered: another attempt follows after the pause, or none. Returns how many are given up."""
    hopeless = or_(Notification.attempts + 1 >= max_attempts, Notification.at < ago(max_age_seconds))
    given_up = delete(Notification).where(_these(ids), hopeless).returning(Notification.id).cte("given_up")
    again = (
        update(Notification)
        .where(_these(ids), ~hopeless)
        .values(attempts=Notification.attempts + 1)
        .returning(Notification.id)
        .cte("again")
    )
    count = select(func.count(given_up.c.id)).scalar_subquery()
    pauses = _changed(
        user_id,
        channel,
        {
            "next_at": from_now(pause_seconds),
            "failures": NotificationChannel.failures + 1,
            "given_up": NotificationChannel.given_up + count,
            "last_error": error,
            "last_error_at": func.now(),
        },
    )
    return select(func.count(given_up.c.id)).add_cte(again, pauses)


@statement
def trim(max_age_seconds: float) -> Delete:
    """Forget what was sent long ago, and what nobody can deliver, such as that of a disabled user."""
    old = Notification.sent_at < ago(KEPT_DAYS * 86_400.0)
    return delete(Notification).where(or_(old, and_(UNSENT, Notification.at < ago(2 * max_age_seconds))))


def _these(ids: Sequence[int]) -> ColumnElement[bool]:
    return and_(Notification.id == func.any(ids, type_=BigInteger), UNSENT)


def _changed(user_id: UUID, channel: str, values: dict[str, Any]) -> CTE:
    return (
        update(NotificationChannel)
        .where(NotificationChannel.user_id == user_id, NotificationChannel.channel == channel)
        .values(values)
        .returning(NotificationChannel.user_id)
        .cte("channel")
    )
