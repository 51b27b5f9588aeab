"""What the scheduler reads and says of the queue."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    Update,
    Uuid,
    and_,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from gpulab.states import ACTIVE_STATES, FailureCause, JobState, WaitReason
from models.composed import statement
from models.statements.notifications import outbox
from models.statements.transitions import announce, moved
from models.tables.assignment import Assignment
from models.tables.courses import Course
from models.tables.job import Job
from models.tables.lab_hours import LabHours
from models.tables.study import StudyRun
from models.tables.user import User

UNFINISHED = [state.value for state in (JobState.QUEUED, *ACTIVE_STATES)]


@statement
def waiting() -> Select[*tuple[Any, ...]]:
    """Every queued job, oldest first, with what placing it needs."""
    return (
        select(
            Job.id,
            Job.owner_id,
            Job.experiment,
            Job.priority,
            Job.gpus,
            Job.gpu_memory_bytes,
            Job.counted_bytes,
            Job.exclusive,
            Job.datasets,
            Job.time_limit_seconds,
            Job.submitted_at,
            Job.wait_reason,
            Job.estimate_id,
            func.coalesce(Course.weight, 1.0).label("course_weight"),
        )
        .outerjoin(Course, Course.id == Job.course_id)
        .where(Job.state == JobState.QUEUED)
        .order_by(Job.id)
    )


@statement
def lab_hours() -> Select[*tuple[Any, ...]]:
    """All lab hours of open courses. Some occurrences may be over."""
    of_open_course = (Course.id == LabHours.course_id) & Course.archived_at.is_(None)
    return select(*LabHours.__table__.columns).join(Course, of_open_course)


@statement
def of_lab_hours(ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """With each of these lab hours the unfinished jobs that may use their GPUs."""
    return (
        select(LabHours.id, func.array_agg(Job.id).label("job_ids"))
        .join_from(LabHours, Job, Job.state.in_(UNFINISHED))
        .join(User, User.id == Job.owner_id)
        .outerjoin(Assignment, Assignment.id == LabHours.assignment_id)
        .where(
            LabHours.id == func.any(ids),
            Job.course_id == LabHours.course_id,
            or_(LabHours.section.is_(None), LabHours.section == User.section),
            or_(LabHours.assignment_id.is_(None), _is_work()),
            or_(func.cardinality(LabHours.user_ids) == 0, User.id == func.any(LabHours.user_ids)),
        )
        .group_by(LabHours.id)
    )


@statement(anew=True)
def keep_gpus(kept: Mapping[UUID, Mapping[str, Sequence[str]]]) -> Update:
    """Write down the GPUs that are kept for occurrences of lab hours. Only what changed is written."""
    by_id = {str(lab_hours_id): gpus for lab_hours_id, gpus in kept.items()}
    given = func.jsonb_each(literal(by_id, JSONB)).table_valued(column("key", Text), column("value", JSONB))
    same = (LabHours.id == cast(given.c.key, Uuid), LabHours.kept != given.c.value)
    return update(LabHours).where(*same).values(kept=given.c.value)


def _is_work() -> ColumnElement[bool]:
    """Whether the job is work on the assignment."""
    for_question = (
        select(StudyRun.study_id)
        .where(StudyRun.job_id == Job.id, StudyRun.questions.overlap(Assignment.questions))
        .correlate(Job, Assignment)
        .exists()
    )
    return or_(Job.experiment == func.any(Assignment.experiments), for_question)


@statement
def refuse(job_id: UUID, message: str) -> Select[Any]:
    """End a queued job that no GPU of the lab can hold. No row: it no longer waits."""
    changed = moved(
        [JobState.FAILED],
        and_(Job.id == job_id, Job.state == JobState.QUEUED),
        values={"cause": FailureCause.CANNOT_FIT, "message": message, "wait_reason": None},
    )
    return announce(changed, event="job.failed", actor="scheduler", message=message)


@statement(anew=True)
def count_bytes(counted: Mapping[UUID, int | None]) -> Update:
    """Write down how much of each GPU the scheduler counts waiting jobs with, to compute their place."""
    arrays: list[Any] = [literal(list(counted), ARRAY(Uuid)), literal(list(counted.values()), ARRAY(BigInteger))]
    given = func.unnest(*arrays).table_valued("id", "size").render_derived("given")
    return update(Job).where(Job.id == given.c.id, Job.state == JobState.QUEUED).values(counted_bytes=given.c.size)


@statement(anew=True)
def explain(reasons: Sequence[tuple[UUID, WaitReason, str]]) -> Select[UUID]:
    """Say why jobs wait: id, reason and words of each. Only what changed is written. Returns the jobs."""
    columns = list(zip(*reasons, strict=True))
    # Three arrays, however many rows: a statement takes at most 65,535 parameters.
    arrays: list[Any] = [
        literal(list(given), ARRAY(kind)) for given, kind in zip(columns, (Uuid, Text, Text), strict=True)
    ]
    given = func.unnest(*arrays).table_valued("id", "reason", "words").render_derived("given")
    changed = (
        update(Job)
        .where(Job.id == given.c.id, Job.state == JobState.QUEUED, Job.wait_reason.is_distinct_from(given.c.reason))
        .values(wait_reason=given.c.reason, message=given.c.words, version=Job.version + 1, changed_at=func.now())
        .returning(Job.id, Job.wait_reason)
        .cte("changed")
    )
    return select(changed.c.id).add_cte(outbox.of_stuck(changed))
