"""What the scheduler reads and says of the queue."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Select, Text, Update, Uuid, and_, func, literal, select, update

from gpulab.states import FailureCause, JobState, WaitReason
from models.composed import statement
from models.statements.transitions import announce, moved
from models.tables.job import Job


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
        )
        .where(Job.state == JobState.QUEUED)
        .order_by(Job.id)
    )


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
def explain(reasons: Sequence[tuple[UUID, WaitReason, str]]) -> Update:
    """Say why jobs wait: id, reason and words of each. Only what changed is written."""
    columns = list(zip(*reasons, strict=True))
    # Three arrays, however many rows: a statement takes at most 65,535 parameters.
    arrays: list[Any] = [
        literal(list(given), ARRAY(kind)) for given, kind in zip(columns, (Uuid, Text, Text), strict=True)
    ]
    given = func.unnest(*arrays).table_valued("id", "reason", "words").render_derived("given")
    return (
        update(Job)
        .where(Job.id == given.c.id, Job.state == JobState.QUEUED, Job.wait_reason.is_distinct_from(given.c.reason))
        .values(wait_reason=given.c.reason, message=given.c.words, version=Job.version + 1, changed_at=func.now())
    )
