"""The banners on every page."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Banner(Base):
    """A text that staff show on every page, to everybody or to some users.

    A new text is a new row, so that users who dismissed the old one see it.
    """

    __tablename__ = "banners"
    __table_args__ = (CheckConstraint("starts_at < ends_at", name="starts_before_its_end"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    text: Mapped[str]
    starts_at: Mapped[datetime | None]
    """When the maintenance begins that it announces; null if it announces none. It is shown before."""
    ends_at: Mapped[datetime]
    course_id: Mapped[UUID | None] = mapped_column(ForeignKey("courses.id"))
    """Only members of this course see it; null is the whole lab."""
    readers: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    """The users who see it; null is everybody of the course or the lab."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
