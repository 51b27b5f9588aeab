"""What runs record, in chunks: one row holds many points of one series, as the shipper read them together.

A row a point would cost forty bytes of overhead for eight of content; arrays make shipping and reading an order faster.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Double, ForeignKey, Identity, Index, LargeBinary
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class MetricChunk(Base):
    __tablename__ = "metric_chunks"
    __table_args__ = (Index("ix_metric_chunks_job_id_name_id", "job_id", "name", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    name: Mapped[str]
    steps: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    times: Mapped[list[float]] = mapped_column(ARRAY(Double))
    values: Mapped[list[float]] = mapped_column(ARRAY(Double))


class SampleChunk(Base):
    __tablename__ = "sample_chunks"
    __table_args__ = (Index("ix_sample_chunks_job_id_id", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    source: Mapped[str]
    """`host`, `gpu`, `allocator` or `prediction`."""
    gpu_uuid: Mapped[str | None]
    times: Mapped[list[float]] = mapped_column(ARRAY(Double))
    values: Mapped[dict[str, Any]]
    """Field to list of readings, as long as `times`."""
    reasons: Mapped[dict[str, Any]]


class Phase(Base):
    __tablename__ = "phases"
    __table_args__ = (Index("ix_phases_job_id_id", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    time: Mapped[float]
    name: Mapped[str]


class LogChunk(Base):
    """A piece of `output.log`; `start` counts the job's bytes over all attempts in order."""

    __tablename__ = "log_chunks"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    attempt: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)
