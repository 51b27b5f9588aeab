"""The history: one row for every change of state, written in the transaction that made the change."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class JobEvent(Base):
    __tablename__ = "job_events"
    __table_args__ = (Index("ix_job_events_job_id_id", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    type: Mapped[str]
    from_state: Mapped[str | None]
    to_state: Mapped[str | None]
    attempt: Mapped[int]
    actor: Mapped[str]
    """`user:<name>`, `scheduler`, `node:<name>`."""
    message: Mapped[str]
