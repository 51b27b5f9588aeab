"""Predictions of GPU memory: questions, answers, and who works on them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base

ESTIMATE_STATES = PENDING, READY, FAILED = "pending", "ready", "failed"

PROGRAM = "program"
"""The family of all students' programs: nothing is learned from one for another."""


class Estimate(Base):
    """One workload under one version of the software. It is asked once; further GPUs are added to the question."""

    __tablename__ = "estimates"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'ready', 'failed')", name="state_known"),
        CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="reason_iff_failed"),
        Index("ix_estimates_pending", "asked_at", postgresql_where=text("state = 'pending'")),
        Index("ix_estimates_owner_id_claimed_at", "owner_id", "claimed_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Follows from the workload's fields that change memory, the software and the estimator's version."""
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    """Users take turns by it; null where it was asked before they did."""
    family: Mapped[str]
    """Of the model, such as `resnet`; the lab learns by family."""
    software: Mapped[str]
    """The versions that the operations are traced with."""
    workload: Mapped[dict[str, Any]]
    """What is trained; of a program the `experiment` and its `spec`."""
    editable: Mapped[list[str]]
    """Fields of the workload that its owner can change."""
    wanted: Mapped[dict[str, Any]]
    """The GPUs in question: name and memory, by a key of both."""
    prediction: Mapped[dict[str, Any] | None]
    """For a typical GPU."""
    fits: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """The verdict for each GPU, by the same keys. An answer is whole when it has every key that is wanted."""
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    reason: Mapped[str | None]
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rung_at: Mapped[datetime | None]
    """When a worker was last notified."""
    node: Mapped[str | None]
    """Where it was last taken up."""
    token: Mapped[UUID | None]
    """The right to answer; a worker that holds another one writes nothing."""
    expires_at: Mapped[datetime | None]
    """Until then the holder of the token is taken to be at work."""
    claimed_at: Mapped[datetime | None]
    """When a worker last took it up."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    finished_at: Mapped[datetime | None]


class MeasuredPeak(Base):
    """What a run that succeeded on a GPU was predicted to take, and took. Bytes; null is not measured."""

    __tablename__ = "measured_peaks"
    __table_args__ = (Index("ix_measured_peaks_family_gpu_at", "family", "gpu", "at"),)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    """No reference: what the lab learned outlives the run."""
    attempt: Mapped[int]
    estimate_id: Mapped[UUID] = mapped_column(ForeignKey("estimates.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    family: Mapped[str]
    gpu: Mapped[str]
    """What the driver calls the device."""
    predicted_allocated_bytes: Mapped[int] = mapped_column(BigInteger)
    predicted_reserved_bytes: Mapped[int] = mapped_column(BigInteger)
    predicted_low_bytes: Mapped[int] = mapped_column(BigInteger)
    """Of the device's peak, as the two that follow."""
    predicted_likely_bytes: Mapped[int] = mapped_column(BigInteger)
    predicted_high_bytes: Mapped[int] = mapped_column(BigInteger)
    allocated_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """The allocator's peak."""
    reserved_bytes: Mapped[int | None] = mapped_column(BigInteger)
    device_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """What the job's processes held on the device, or all that was in use where they were alone there."""
