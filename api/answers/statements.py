"""Assignments whose answers a user may not see yet."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from gpulab.states import Role
from models.composed import statement
from models.deadlines import DUE_AT, LATE_TIME
from models.tables.assignment import Assignment
from models.tables.courses import CourseMember
from models.tables.job import Job
from models.tables.user import User


@statement
def reported(job_id: UUID) -> Select[*tuple[Any, ...]]:
    """The questions that a report is about, and the experiments of its runs."""
    every = func.jsonb_path_query_array(Job.spec, cast("$.outcomes[*].experiment", JSONPATH), type_=JSONB)
    return select(Job.spec["questions"].label("questions"), every.label("experiments")).where(Job.id == job_id)


@statement
def holding_back(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """Assignments of the user's courses that hold answers back and are open to them. The last to end comes first."""
    # Without a limit, late work would hold answers back for ever: then the deadline counts.
    shown_at = DUE_AT + func.coalesce(LATE_TIME, func.make_interval(0))
    return (
        select(Assignment.name, shown_at.label("shown_at"), Assignment.experiments, Assignment.questions)
        .join_from(Assignment, User, User.id == user_id)
        .join(CourseMember, (CourseMember.user_id == user_id) & (CourseMember.course_id == Assignment.course_id))
        .where(Assignment.answers_after_deadline, shown_at >= func.now(), CourseMember.role == Role.STUDENT.value)
        .order_by(shown_at.desc(), Assignment.id)
    )
