"""What Prometheus asks of the database. Nothing here counts what only grows."""

from typing import Any

from sqlalchemy import Select, func, select

from gpulab.states import JobState
from models.composed import statement
from models.tables.event import JobEvent
from models.tables.job import Job


@statement
def waiting() -> Select[*tuple[Any, ...]]:
    """Queued jobs by the reason why they wait; null for those that the scheduler has not looked at yet."""
    return (
        select(Job.wait_reason, func.count().label("jobs"))
        .where(Job.state == JobState.QUEUED)
        .group_by(Job.wait_reason)
    )


@statement
def newest_event() -> Select[Any]:
    return select(func.coalesce(func.max(JobEvent.id), 0))


@statement
def events_after(event_id: int) -> Select[*tuple[Any, ...]]:
    """Events of jobs since that one, by type and, for failures, the cause: as many rows as there are kinds."""
    return (
        select(JobEvent.type, Job.cause, func.count().label("events"), func.max(JobEvent.id).label("newest"))
        .join(Job, Job.id == JobEvent.job_id)
        .where(JobEvent.id > event_id)
        .group_by(JobEvent.type, Job.cause)
    )
