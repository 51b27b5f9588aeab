"""The channels of one user."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, case, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Delete, Insert, ReturningInsert, Update

from gpulab.states import NotificationKind
from models.composed import statement
from models.tables.notifications.outbox import Notification, NotificationChannel
from models.tables.user import User


@statement
def of(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """The channels that are set up, with how much waits on each."""
    waiting = (
        select(func.count())
        .where(
            Notification.user_id == NotificationChannel.user_id,
            Notification.channel == NotificationChannel.channel,
            Notification.sent_at.is_(None),
        )
        .scalar_subquery()
        .label("waiting")
    )
    return select(*NotificationChannel.__table__.columns, waiting).where(NotificationChannel.user_id == user_id)


@statement
def user(user_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(User.email, User.time_zone).where(User.id == user_id)


@statement
def set_time_zone(user_id: UUID, time_zone: str) -> Update:
    return update(User).where(User.id == user_id).values(time_zone=time_zone)


@statement
def set_up(user_id: UUID, channel: str, kinds: Sequence[str], webhook_url: str | None = None) -> Insert:
    """Another address begins anew; without one, the one that was set stays."""
    made = insert(NotificationChannel).values(user_id=user_id, channel=channel, kinds=kinds, webhook_url=webhook_url)
    changes: dict[str, ColumnElement[Any]] = {
        "next_at": func.now(),
        "failures": literal(0),
        "last_error": literal(None, Text),
        "last_error_at": literal(None, NotificationChannel.last_error_at.type),
        "given_up": literal(0),
    }
    same = NotificationChannel.webhook_url.is_not_distinct_from(made.excluded.webhook_url)
    anew = {name: case((same, NotificationChannel.__table__.c[name]), else_=value) for name, value in changes.items()}
    return made.on_conflict_do_update(
        index_elements=[NotificationChannel.user_id, NotificationChannel.channel],
        set_={"kinds": made.excluded.kinds, "webhook_url": made.excluded.webhook_url, **anew},
    )


@statement
def turn_off(user_id: UUID, channel: str) -> Delete:
    """What waits on the channel goes with it, and so does the address."""
    return delete(NotificationChannel).where(
        NotificationChannel.user_id == user_id, NotificationChannel.channel == channel
    )


@statement
def ask_for_test(user_id: UUID, channel: str) -> ReturningInsert[int]:
    """One a minute. No row: the channel is off, or one was asked for."""
    minute = func.concat_ws(":", "test", func.date_trunc("minute", func.now()))
    about = select(
        NotificationChannel.user_id, NotificationChannel.channel, literal(NotificationKind.TEST.value, Text), minute
    ).where(NotificationChannel.user_id == user_id, NotificationChannel.channel == channel)
    made = insert(Notification).from_select(["user_id", "channel", "kind", "once"], about)
    return made.on_conflict_do_nothing().returning(Notification.id)
