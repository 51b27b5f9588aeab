"""Notifications by mail and webhook, and how each user wants to hear of what.

A row of `notifications` is written in the statement that makes the change it is about, and delivered later.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class NotificationChannel(Base):
    """A way on which a user wants to hear of things; no row, nothing is sent."""

    __tablename__ = "notification_channels"
    __table_args__ = (CheckConstraint("(channel = 'webhook') = (webhook_url IS NOT NULL)", name="webhook_has_url"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    """A `gpulab.schemas.notifications.Channel`."""
    kinds: Mapped[list[str]]
    """Of what: each a `gpulab.schemas.notifications.NotificationKind`."""
    webhook_url: Mapped[str | None]
    """A secret: who has it can post in the user's name. Shown masked."""
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Nothing is sent before: the rest after a message, the pause after a failure, or the claim of a sender."""
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    """In a row."""
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    given_up: Mapped[int] = mapped_column(server_default=text("0"))
    """Notifications that were not delivered in time, since the channel was set up."""


class Notification(Base):
    """Something that a user wants to hear of on one channel."""

    __tablename__ = "notifications"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "channel"],
            ["notification_channels.user_id", "notification_channels.channel"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("user_id", "channel", "once"),
        Index("ix_notifications_unsent", "user_id", "channel", "id", postgresql_where=text("sent_at IS NULL")),
        Index("ix_notifications_job_id", "job_id", postgresql_where=text("job_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[UUID]
    channel: Mapped[str]
    kind: Mapped[str]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    assignment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assignments.id", ondelete="CASCADE"))
    node: Mapped[str | None]
    due_at: Mapped[datetime | None]
    """The deadline that it reminds of."""
    once: Mapped[str | None]
    """Of those with the same value only the first is kept."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """Deliveries that failed."""
    sent_at: Mapped[datetime | None]
