"""When an assignment is due for a user. Columns for statements that read from `Assignment` and `User`."""

from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from gpulab.states import Role
from models.tables.assignment import Assignment, Extension
from models.tables.courses import Course, CourseMember
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
IS_STUDENT: ColumnElement[bool] = and_(
    CourseMember.user_id == User.id,
    CourseMember.course_id == Assignment.course_id,
    CourseMember.role == Role.STUDENT.value,
)
"""Whether the user is a student of the assignment's course."""
IN_OPEN_COURSE: ColumnElement[bool] = (
    select(Course.id)
    .where(Course.id == Assignment.course_id, Course.archived_at.is_(None))
    .correlate(Assignment)
    .exists()
)
"""Whether something can be handed in for the assignment at all: a course that is archived takes nothing more."""
LATE_TIME: ColumnElement[Any] = func.make_interval(0, 0, 0, Assignment.late_days)
