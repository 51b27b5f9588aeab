"""Courses: whom a lab teaches together, and in which role."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base

DEFAULT_COURSE_ID = UUID("00000000-0000-7000-8000-000000000001")
"""The course of every lab that never made another one."""
DEFAULT = text(f"'{DEFAULT_COURSE_ID}'")


class Course(Base):
    __tablename__ = "courses"
    __table_args__ = (
        UniqueConstraint("name", "term", name="uq_courses_name_term", postgresql_nulls_not_distinct=True),
        CheckConstraint("weight > 0", name="weight_positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    name: Mapped[str]
    term: Mapped[str | None]
    """`Autumn 2030`."""
    weight: Mapped[float] = mapped_column(server_default=text("1"))
    """Multiplies the weights of users, in the order of the course's runs."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    archived_at: Mapped[datetime | None]
    """Since when everything of the course can only be read."""


class CourseMember(Base):
    """Triggers keep it: new users join the lab's only open course, and a new role in the lab holds in it.

    Users who become students in the lab are so in each course.
    """

    __tablename__ = "course_members"
    __table_args__ = (
        CheckConstraint("role IN ('student', 'instructor')", name="role_known"),
        Index("ix_course_members_course_id", "course_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"), primary_key=True)
    role: Mapped[str]
    joined_at: Mapped[datetime] = mapped_column(server_default=func.now())
