"""Studies: which runs belong together, and what was asked. A run that is reused belongs to several."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base
from models.tables.courses import DEFAULT

REPORT_KEY = "study report "
"""The beginning of a report's idempotency key. No key that a client sends has a space in it."""


class Study(Base):
    __tablename__ = "studies"
    __table_args__ = (
        Index("uq_studies_owner_id_idempotency_key", "owner_id", "idempotency_key", unique=True),
        Index("ix_studies_owner_id_id", "owner_id", "id"),
        Index("ix_studies_shared", "id", postgresql_where=text("shared_with IS NOT NULL")),
        Index("ix_studies_report_job_id", "report_job_id", postgresql_where=text("report_job_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    course_id: Mapped[UUID | None] = mapped_column(ForeignKey("courses.id"), server_default=DEFAULT)
    """That of its runs."""
    idempotency_key: Mapped[str | None]
    request_digest: Mapped[bytes | None]
    """SHA-256 of the request body that used the key."""
    template: Mapped[str | None]
    """`course/1b`; null for the user's own grid."""
    scale: Mapped[str | None]
    title: Mapped[str]
    name: Mapped[str | None]
    definition: Mapped[dict[str, Any]]
    """What was asked, with all seeds so far, and what the plan said besides its runs: questions, notes, data sets."""
    revision: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    """Grows with every change of the study itself; with the versions of its jobs it makes the study's version."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    cancelled_at: Mapped[datetime | None]
    report_job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    """The latest report; it is no run of the study."""
    shared_with: Mapped[str | None]
    """Who else may read it and its jobs: `team` (the owner's) or `class`; null is no one else."""


class StudyRun(Base):
    """One planned run and the job that carries it out."""

    __tablename__ = "study_runs"
    __table_args__ = (
        Index("ix_study_runs_job_id", "job_id"),
        Index("ix_study_runs_questions", "questions", postgresql_using="gin"),
    )

    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    questions: Mapped[list[str]]
    cell: Mapped[dict[str, Any]]
    """Coordinates by which tables name the run."""
    reused: Mapped[bool]
    """Whether the job had succeeded before the study wanted it."""
