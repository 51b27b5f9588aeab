"""Assignments, and the runs that users hand in for them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Assignment(Base):
    __tablename__ = "assignments"
    __table_args__ = (CheckConstraint("tolerance >= 0", name="tolerance_not_negative"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    deadline: Mapped[datetime]
    templates: Mapped[list[str]]
    """Study templates that belong to it: `course/1b`."""
    questions: Mapped[list[str]]
    """The questions of those templates; a run of any of them is work on the assignment."""
    experiments: Mapped[list[str]]
    """Experiments whose every run is work on it."""
    tolerance: Mapped[float]
    """Relative; how far a number of a re-run may lie from the pinned one."""
    starter: Mapped[dict[str, Any] | None]
    """The program from which students begin: `experiment` and `spec` of a job that runs it."""
    hidden_check: Mapped[dict[str, Any] | None]
    """The hidden check that runs after a hand-in: `max_points`, `time_limit_seconds` and `spec` of its job."""
    points_released_at: Mapped[datetime | None]
    """When students began to see their points; null while they do not."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Submission(Base):
    """The run that a user pinned for an assignment, and the latest re-run of it."""

    __tablename__ = "submissions"
    __table_args__ = (Index("ix_submissions_job_id", "job_id"),)

    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignments.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    pinned_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rerun_job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    check_job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    """The hidden check of the run that was handed in; its result has the points."""
