"""When an assignment is due for a user. Columns for statements that read from `Assignment` and `User`."""

from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from models.tables.assignment import Assignment, Extension
from models.tables.user import User

EXTENDED = (
    select(func.max(Extension.deadline))
    .where(
        Extension.assignment_id == Assignment.id, or_(Extension.user_id == User.id, Extension.section == User.section)
    )
    .correlate(Assignment, User)
    .scalar_subquery()
)
DUE_AT: ColumnElement[Any] = func.greatest(Assignment.deadline, EXTENDED)
"""The deadline of a user: the assignment's, or the latest extension of theirs or their section's."""
LATE_TIME: ColumnElement[Any] = func.make_interval(0, 0, 0, Assignment.late_days)
