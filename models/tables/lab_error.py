"""What failed in the lab itself, not in runs: one row for all errors that are alike."""

from datetime import datetime

from sqlalchemy import BigInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class LabError(Base):
    __tablename__ = "lab_errors"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    """Of the process, the event and the message without ids and numbers."""
    process: Mapped[str]
    """`api`, `scheduler`, `worker`, `backup`, `up`, ..."""
    event: Mapped[str]
    """As in the log: `store.refused`."""
    message: Mapped[str]
    """Of the last one, without secrets."""
    host: Mapped[str]
    """Where the last one was: a node, or the machine's name."""
    is_warning: Mapped[bool]
    count: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    first_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_at: Mapped[datetime] = mapped_column(server_default=func.now())
