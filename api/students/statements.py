"""The students of an assignment: where each stands, who is meant, and changes for many of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Select, Text, Uuid, cast, func, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from api.assignments.statements import belonging, state_counts, students
from gpulab.states import JobState, Role
from models.composed import statement
from models.tables.assignment import Extension, Submission
from models.tables.courses import CourseMember
from models.tables.job import Job
from models.tables.user import User


@statement
def wall(
    assignment_id: UUID,
    experiments: Sequence[str],
    questions: Sequence[str],
    *,
    limit: int,
    state: str | None = None,
    section: str | None = None,
    team: str | None = None,
    text: str | None = None,
) -> Select[*tuple[Any, ...]]:
    """As `overview`, in short and without pages; where nobody is left, one row holds the counts alone."""
    found = students(assignment_id, experiments, questions, section, team, text)
    totals = select(state_counts(found).label("states")).subquery()
    columns = ("id", "name", "section", "team", "state", "runs", "succeeded", "unfinished", "place")
    order = found.c.place, found.c.name, found.c.id
    page = select(*(found.c[name] for name in columns)).order_by(*order).limit(limit)
    if state is not None:
        page = page.where(found.c.state == state)
    one = page.subquery()
    return (
        select(*totals.c, *one.c).select_from(totals).outerjoin(one, true()).order_by(one.c.place, one.c.name, one.c.id)
    )


@statement
def named(course_id: UUID, user_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """Those of the ids that are students' of the course, with their names."""
    return (
        select(User.id, User.name)
        .join(CourseMember, CourseMember.user_id == User.id)
        .where(User.id == func.any(user_ids), CourseMember.course_id == course_id)
        .where(CourseMember.role == Role.STUDENT.value)
    )


@statement
def extend(
    assignment_id: UUID, user_ids: Sequence[UUID], deadline: datetime, reason: str | None = None
) -> ReturningInsert[UUID]:
    """A row for each who has this deadline now; none for those who had a later one."""
    who = select(cast(assignment_id, Uuid), User.id, cast(deadline, DateTime(timezone=True)), cast(reason, Text)).where(
        User.id == func.any(user_ids)
    )
    made = insert(Extension).from_select(["assignment_id", "user_id", "deadline", "reason"], who)
    return made.on_conflict_do_update(
        constraint="uq_extensions_target",
        set_={"deadline": made.excluded.deadline, "reason": made.excluded.reason, "created_at": func.now()},
        where=Extension.deadline <= made.excluded.deadline,
    ).returning(Extension.user_id)


@statement
def waiting_runs(
    user_ids: Sequence[UUID], course_id: UUID, experiments: Sequence[str], questions: Sequence[str]
) -> Select[*tuple[Any, ...]]:
    """The users' jobs in the queue that count for an assignment with these experiments and questions."""
    return select(Job.id, Job.owner_id).where(
        Job.owner_id == func.any(user_ids),
        Job.course_id == course_id,
        Job.state == JobState.QUEUED.value,
        Job.cancel_requested_at.is_(None),
        belonging(experiments, questions),
    )


@statement
def handed_in(assignment_id: UUID, user_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    return select(Submission.user_id, Submission.job_id).where(
        Submission.assignment_id == assignment_id, Submission.user_id == func.any(user_ids)
    )
