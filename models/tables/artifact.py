"""Files of a run; their bytes lie in the object store under `key`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Artifact(Base):
    __tablename__ = "artifacts"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    key: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    media_type: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DeletedFile(Base):
    """A key whose row is gone; the next sweep deletes its bytes."""

    __tablename__ = "deleted_files"

    key: Mapped[str] = mapped_column(primary_key=True)


class Checkpoint(Base):
    """The newest checkpoint of a job, from which the next attempt goes on."""

    __tablename__ = "checkpoints"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    recorded_time: Mapped[float]
    """Unix seconds; metrics recorded later are taken back when an attempt goes on from here."""
    name: Mapped[str]
    key: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
