"""Setting lab hours, and finding out for whom they are."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ScalarSelect,
    Select,
    Text,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

from models.composed import statement
from models.tables.assignment import Assignment
from models.tables.courses import Course, CourseMember
from models.tables.lab_hours import LabHours
from models.tables.user import User


@statement
def every() -> Select[*tuple[Any, ...]]:
    """All that were ever set and not cancelled, with the assignment's name and the names of users by id.

    Those of archived courses are left out: they keep no GPUs.
    """
    named = (
        select(func.json_object_agg(User.id, User.name))
        .where(User.id == func.any(LabHours.user_ids))
        .correlate(LabHours)
        .scalar_subquery()
    )
    return (
        select(
            *LabHours.__table__.columns,
            Assignment.name.label("assignment"),
            func.coalesce(named, func.json_build_object()).label("users"),
        )
        .select_from(LabHours)
        .join(Course, (Course.id == LabHours.course_id) & Course.archived_at.is_(None))
        .outerjoin(Assignment, Assignment.id == LabHours.assignment_id)
        .order_by(LabHours.id)
    )


@statement
def section_of(user_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(User.section).where(User.id == user_id)


@statement
def known_users(course_id: UUID, user_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """Those of the ids that are members of the course and can sign in."""
    members = select(User.id).join(CourseMember, CourseMember.user_id == User.id)
    return members.where(CourseMember.course_id == course_id, User.id == func.any(user_ids), User.disabled_at.is_(None))


def _fingerprint() -> ScalarSelect[str]:
    """Another one after each change of any lab hours; which GPUs the scheduler keeps for them is none."""
    columns = [column for column in LabHours.__table__.columns if column is not LabHours.__table__.c.kept]
    row = cast(func.row(*columns), Text)
    return select(
        func.md5(func.coalesce(func.string_agg(row, aggregate_order_by(literal(""), LabHours.id)), ""))
    ).scalar_subquery()


@statement
def fingerprint() -> Select[str]:
    return select(_fingerprint())


@statement(anew=True)
def create(values: Mapping[str, Any], seen: str) -> ReturningInsert[Any]:
    """Only if no lab hours were changed since the fingerprint was `seen`."""
    columns = LabHours.__table__.c
    row = select(*(literal(value, columns[name].type) for name, value in values.items())).where(_fingerprint() == seen)
    return insert(LabHours).from_select(list(values), row).returning(LabHours.id)


@statement(anew=True)
def change(lab_hours_id: UUID, values: Mapping[str, Any], seen: str) -> ReturningUpdate[Any]:
    """The GPUs are chosen again. Only if no lab hours were changed since the fingerprint was `seen`."""
    changed = update(LabHours).where(LabHours.id == lab_hours_id, _fingerprint() == seen)
    return changed.values(**values, kept=text("'{}'")).returning(LabHours.id)


@statement
def cancel(lab_hours_id: UUID) -> ReturningDelete[Any]:
    return delete(LabHours).where(LabHours.id == lab_hours_id).returning(LabHours.id)
