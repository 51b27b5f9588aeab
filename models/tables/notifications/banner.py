"""The banners on every page."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Banner(Base):
    """A text that staff show on every page. A new text is a new row, so that it is shown again to who dismissed one."""

    __tablename__ = "banners"
    __table_args__ = (CheckConstraint("starts_at < ends_at", name="starts_before_its_end"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    text: Mapped[str]
    starts_at: Mapped[datetime | None]
    """When the maintenance begins that it announces; null if it announces none. It is shown before."""
    ends_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
