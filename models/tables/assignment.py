"""Assignments, the runs that users hand in for them, and their grades."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base
from models.tables.courses import DEFAULT


class Assignment(Base):
    __tablename__ = "assignments"
    __table_args__ = (
        CheckConstraint("tolerance >= 0", name="tolerance_not_negative"),
        Index("uq_assignments_course_id_name", "course_id", "name", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"), server_default=DEFAULT)
    name: Mapped[str]
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
    max_points: Mapped[float | None]
    """The most that a submission can get; null takes what the check or the re-run can give."""
    rerun_points: Mapped[float | None]
    """Points for a submission whose re-run lies within the tolerance; null gives none."""
    starter: Mapped[dict[str, Any] | None]
    """The program from which students begin: `experiment` and `spec` of a job that runs it."""
    hidden_check: Mapped[dict[str, Any] | None]
    """The hidden check that runs after a hand-in: `max_points`, `time_limit_seconds` and `spec` of its job."""
    points_released_at: Mapped[datetime | None]
    """When students began to see their grades; null while they do not."""
    late_days: Mapped[int | None]
    """Days after the deadline during which late work is accepted; null sets no limit."""
    late_deduction: Mapped[float] = mapped_column(server_default=text("0"))
    """What each day that has begun after the deadline costs."""
    late_deduction_unit: Mapped[str] = mapped_column(server_default=text("'percent'"))
    """`percent` or `points`."""
    answers_after_deadline: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether students see correct answers only once nothing more can be handed in."""
    deadline_changes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """Former deadlines, oldest first: `at`, `before`, `after`."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Extension(Base):
    """A later deadline for one user or one section."""

    __tablename__ = "extensions"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (section IS NULL)", name="for_a_user_or_a_section"),
        UniqueConstraint(
            "assignment_id", "user_id", "section", name="uq_extensions_target", postgresql_nulls_not_distinct=True
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignments.id"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    section: Mapped[str | None]
    deadline: Mapped[datetime]
    reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Submission(Base):
    """The run that a user pinned for an assignment, and the latest re-run of it."""

    __tablename__ = "submissions"
    __table_args__ = (
        Index("ix_submissions_job_id", "job_id"),
        Index("ix_submissions_rerun_job_id", "rerun_job_id", postgresql_where=text("rerun_job_id IS NOT NULL")),
        Index("ix_submissions_check_job_id", "check_job_id", postgresql_where=text("check_job_id IS NOT NULL")),
    )

    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignments.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    pinned_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rerun_job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    check_job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    """The hidden check of the run that was handed in; its result has the points."""


class Grade(Base):
    """A grade by hand, given or taken back. Rows are only added: the newest of a user counts."""

    __tablename__ = "grades"
    __table_args__ = (
        Index("ix_grades_assignment_id_user_id_id", "assignment_id", "user_id", "id"),
        Index("ix_grades_job_id", "job_id", postgresql_where=text("job_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignments.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    """The run that was handed in then; null where nothing was."""
    points: Mapped[float | None]
    """Before the late deduction; null leaves the points of the check or the re-run."""
    comment: Mapped[str | None]
    rubric: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """Lines of `text` and `points`."""
    removed: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether this takes the grade by hand back."""
    from_table: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it came with a table of corrections."""
    grader_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
