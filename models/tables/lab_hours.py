"""Lab hours: GPUs that are kept free for a section, an assignment or named users, once or each week."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, Date, DateTime, ForeignKey, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base
from models.tables.courses import DEFAULT

WEEK = timedelta(days=7)


class LabHours(Base):
    __tablename__ = "lab_hours"
    __table_args__ = (
        CheckConstraint("local_start < local_end", name="ends_after_start"),
        CheckConstraint("gpus > 0", name="gpus_positive"),
        CheckConstraint("gpus IS NOT NULL OR node IS NOT NULL", name="gpus_or_a_node"),
        CheckConstraint(
            "section IS NOT NULL OR assignment_id IS NOT NULL OR cardinality(user_ids) > 0", name="for_somebody"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"), server_default=DEFAULT)
    """Only runs of this course may use the GPUs."""
    name: Mapped[str]
    gpus: Mapped[int | None]
    """Null: every GPU of the node."""
    node: Mapped[str | None]
    """A name and no reference: the node may join later again. Null: GPUs of any node."""
    section: Mapped[str | None]
    assignment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assignments.id"))
    user_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    """Whose jobs may use the GPUs: those that all of the three allow. One that is not set allows all."""
    local_start: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    """The first start by the clocks of `time_zone`, which go by summer time when it comes."""
    local_end: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    time_zone: Mapped[str]
    weekly_until: Mapped[date | None] = mapped_column(Date)
    """The last day on which they may begin; null for once."""
    skipped_days: Mapped[list[date]] = mapped_column(ARRAY(Date), server_default=text("'{}'"))
    """Days on which they would begin and do not."""
    give_back_minutes: Mapped[int]
    """After this part of each, GPUs that nobody of theirs uses or waits for are open to all."""
    kept: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """What the scheduler keeps for the occurrences of the next days: UUIDs of GPUs, by the start in Unix seconds."""
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Occurrence(NamedTuple):
    day: date
    """By the local calendar."""
    start: datetime
    end: datetime


def occurrences(hours: Any, after: datetime) -> Iterator[Occurrence]:
    """Those of a row that are not over at `after`, in order: each week at the same time by the local clocks."""
    zone = zone_of(hours.time_zone)
    start, end = hours.local_start, hours.local_end
    last_day = hours.weekly_until or start.date()
    while start.date() <= last_day:
        found = Occurrence(start.date(), *(local.replace(tzinfo=zone).astimezone(UTC) for local in (start, end)))
        if start.date() not in hours.skipped_days and found.end > after:
            yield found
        start, end = start + WEEK, end + WEEK


def zone_of(name: str) -> tzinfo:
    # Known without the system's tables.
    return UTC if name == "UTC" else ZoneInfo(name)
