"""Setting lab hours, and finding out for whom they are."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select, text, update
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

from models.composed import statement
from models.tables.assignment import Assignment
from models.tables.lab_hours import LabHours
from models.tables.user import User


@statement
def every() -> Select[*tuple[Any, ...]]:
    """All that were ever set and not cancelled, with the assignment's name and the names of users by id."""
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
        .outerjoin(Assignment, Assignment.id == LabHours.assignment_id)
        .order_by(LabHours.id)
    )


@statement
def section_of(user_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(User.section).where(User.id == user_id)


@statement
def known_users(user_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    return select(User.id).where(User.id == func.any(user_ids), User.disabled_at.is_(None))


@statement(anew=True)
def create(values: Mapping[str, Any]) -> ReturningInsert[Any]:
    return insert(LabHours).values(**values).returning(LabHours.id)


@statement(anew=True)
def change(lab_hours_id: UUID, values: Mapping[str, Any]) -> ReturningUpdate[Any]:
    """The GPUs are chosen again."""
    changed = update(LabHours).where(LabHours.id == lab_hours_id).values(**values, kept=text("'{}'"))
    return changed.returning(LabHours.id)


@statement
def cancel(lab_hours_id: UUID) -> ReturningDelete[Any]:
    return delete(LabHours).where(LabHours.id == lab_hours_id).returning(LabHours.id)
