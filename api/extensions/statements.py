"""The deadline of an assignment for each user."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from gpulab.states import Role
from models.composed import statement
from models.deadlines import DUE_AT, LATE_TIME
from models.tables.assignment import Assignment, Extension
from models.tables.courses import CourseMember
from models.tables.user import User


@statement
def due_of(user_id: UUID, assignment_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """The user's deadline for each assignment, when late work ends (null: never), and the time now."""
    return (
        select(Assignment.id, DUE_AT.label("due_at"), (DUE_AT + LATE_TIME).label("ends_at"), func.now().label("now"))
        .join_from(Assignment, User, User.id == user_id)
        .where(Assignment.id == func.any(assignment_ids))
    )


@statement(anew=True)
def extend(values: Mapping[str, Any]) -> ReturningInsert[Any]:
    made = insert(Extension).values(**values)
    return made.on_conflict_do_update(
        constraint="uq_extensions_target",
        set_={"deadline": made.excluded.deadline, "reason": made.excluded.reason, "created_at": func.now()},
    ).returning(Extension.id)


@statement
def extensions(assignment_id: UUID) -> Select[*tuple[Any, ...]]:
    """Newest first."""
    return (
        select(*Extension.__table__.columns, User.name.label("user"))
        .outerjoin(User, User.id == Extension.user_id)
        .where(Extension.assignment_id == assignment_id)
        .order_by(Extension.created_at.desc(), Extension.id)
    )


@statement
def end_extension(assignment_id: UUID, extension_id: UUID) -> ReturningDelete[Any]:
    mine = (Extension.id == extension_id, Extension.assignment_id == assignment_id)
    return delete(Extension).where(*mine).returning(Extension.id)


@statement
def student(course_id: UUID, user_id: UUID) -> Select[*tuple[Any, ...]]:
    """The user, if they are a student of the course."""
    return select(CourseMember.user_id).where(_is_student(course_id), CourseMember.user_id == user_id)


@statement
def in_section(course_id: UUID, section: str) -> Select[*tuple[Any, ...]]:
    """A student of the course who is in the section."""
    students = select(User.id).join(CourseMember, CourseMember.user_id == User.id).where(_is_student(course_id))
    return students.where(User.section == section).limit(1)


def _is_student(course_id: UUID) -> ColumnElement[bool]:
    return (CourseMember.course_id == course_id) & (CourseMember.role == Role.STUDENT.value)
