"""Where each user stands: what the scheduler last weighed, for those who ask about their place."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Usage(Base):
    """A copy, made anew from the leases; nothing is decided by it."""

    __tablename__ = "shares"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    used_seconds: Mapped[float]
    """Decayed use: seconds of the whole lab."""
    weight: Mapped[float]
    """With the boost of a deadline, if there is one."""
    weighed_at: Mapped[datetime] = mapped_column(server_default=func.now())
