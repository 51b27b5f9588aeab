"""Courses and their members."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, Uuid, case, cast, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, aggregate_order_by, array, insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

from gpulab.states import Role
from models.composed import statement
from models.tables.assignment import Assignment
from models.tables.courses import Course, CourseMember
from models.tables.user import User

STUDENT, INSTRUCTOR = Role.STUDENT.value, Role.INSTRUCTOR.value
ARCHIVED_FIRST = func.coalesce(Course.archived_at, func.now())
"""A course that is archived stays archived since then."""


@statement
def every(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """All courses, open ones first, with their instructors, the number of their students, and the user's role."""
    mine = CourseMember.__table__.alias("mine")
    enabled = User.disabled_at.is_(None)
    names = func.array_agg(aggregate_order_by(User.name, User.name), type_=ARRAY(TEXT))
    return (
        select(
            *Course.__table__.columns,
            mine.c.role.label("your_role"),
            func.coalesce(
                names.filter(CourseMember.role == INSTRUCTOR, enabled), cast(literal("{}"), ARRAY(TEXT))
            ).label("instructors"),
            func.count(User.id).filter(CourseMember.role == STUDENT, enabled).label("students"),
        )
        .outerjoin(CourseMember, CourseMember.course_id == Course.id)
        .outerjoin(User, User.id == CourseMember.user_id)
        .outerjoin(mine, (mine.c.course_id == Course.id) & (mine.c.user_id == user_id))
        .group_by(Course.id, mine.c.role)
        .order_by(Course.archived_at.is_not(None), Course.id.desc())
    )


@statement
def by_id(course_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*Course.__table__.columns).where(Course.id == course_id)


@statement
def open_ones() -> Select[*tuple[Any, ...]]:
    return select(*Course.__table__.columns).where(Course.archived_at.is_(None))


@statement(anew=True)
def create(values: Mapping[str, Any]) -> ReturningInsert[Any]:
    """No row where another course has this name and term."""
    return insert(Course).values(**values).on_conflict_do_nothing().returning(Course.id)


@statement
def namesake(course_id: UUID, name: str, term: str | None) -> Select[*tuple[Any, ...]]:
    """Another course with this name and term."""
    return select(Course.id).where(Course.id != course_id, Course.name == name, Course.term.is_not_distinct_from(term))


@statement(anew=True)
def change(course_id: UUID, values: Mapping[str, Any]) -> ReturningUpdate[Any]:
    return update(Course).where(Course.id == course_id).values(**values).returning(Course.id)


@statement
def wanting(user_id: UUID, course_ids: Sequence[UUID], experiment: str | None) -> Select[UUID]:
    """The course of the user's that a run most likely is for.

    One with an assignment that is not over and that the experiment counts for comes first, then the one joined last.
    """
    counts: ColumnElement[bool] = (
        select(Assignment.id)
        .where(
            Assignment.course_id == CourseMember.course_id,
            Assignment.experiments.contains(cast(array([cast(experiment, Text)]), ARRAY(TEXT))),
            Assignment.deadline > func.now(),
        )
        .correlate(CourseMember)
        .exists()
    )
    return (
        select(CourseMember.course_id)
        .where(CourseMember.user_id == user_id, CourseMember.course_id == func.any(course_ids))
        .order_by(case((counts, 0), else_=1), CourseMember.joined_at.desc(), CourseMember.course_id)
        .limit(1)
    )


@statement
def member(course_id: UUID, user_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(CourseMember.course_id, CourseMember.user_id, User.name.label("user"), CourseMember.role)
        .join(User, User.id == CourseMember.user_id)
        .where(CourseMember.course_id == course_id, CourseMember.user_id == user_id)
    )


@statement
def courses_of(user_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(CourseMember.course_id, CourseMember.role).where(CourseMember.user_id == user_id)


@statement
def join(course_id: UUID, user_ids: Sequence[UUID], role: str) -> ReturningInsert[Any]:
    """Let users belong to the course; those who do already get the role."""
    wanted = select(User.id, cast(course_id, Uuid), cast(role, Text)).where(User.id == func.any(user_ids))
    made = insert(CourseMember).from_select(["user_id", "course_id", "role"], wanted)
    return made.on_conflict_do_update(
        index_elements=[CourseMember.user_id, CourseMember.course_id], set_={"role": made.excluded.role}
    ).returning(CourseMember.user_id)


@statement
def leave(course_id: UUID, user_id: UUID) -> ReturningDelete[Any]:
    mine = (CourseMember.course_id == course_id, CourseMember.user_id == user_id)
    return delete(CourseMember).where(*mine).returning(CourseMember.user_id)
