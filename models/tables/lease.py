"""The right to run one attempt of a job."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Lease(Base):
    """Live while `released_at` is null. Every write of a worker names the token and touches nothing once it is not."""

    __tablename__ = "leases"
    __table_args__ = (
        Index("uq_leases_live_job_id", "job_id", unique=True, postgresql_where=text("released_at IS NULL")),
        Index("ix_leases_live_node", "node", postgresql_where=text("released_at IS NULL")),
        Index("ix_leases_released_at", "released_at", postgresql_where=text("released_at IS NOT NULL")),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    node: Mapped[str] = mapped_column(ForeignKey("nodes.name"))
    gpu_uuids: Mapped[list[str]]
    """Empty for an attempt on the CPU."""
    reserved_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """On each GPU; null reserves the whole of it."""
    held_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """On all its GPUs together, whole ones in full; null for an attempt on the CPU."""
    share: Mapped[float] = mapped_column(server_default=text("0"))
    """Of the lab's capacity as it was then: what fairness counts, times the time it was held."""
    granted_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rung_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When the doorbell last rang."""
    claimed_at: Mapped[datetime | None]
    """When a worker took it up."""
    yield_requested_at: Mapped[datetime | None]
    """When it was asked to give way to a more urgent job."""
    expires_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    """The job's state after it, or `lost`."""
    records_offset: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Bytes of `records.ndjson` that are in these tables; moved in the transaction that writes the rows."""
    samples_offset: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    output_offset: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class PastUse(Base):
    """What a lease of a deleted run used: fairness and limits count it as before."""

    __tablename__ = "past_use"
    __table_args__ = (Index("ix_past_use_owner_id", "owner_id"), Index("ix_past_use_released_at", "released_at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    gpus: Mapped[int]
    held_bytes: Mapped[int | None] = mapped_column(BigInteger)
    share: Mapped[float]
    granted_at: Mapped[datetime]
    released_at: Mapped[datetime]
