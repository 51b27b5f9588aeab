"""Events of a running job that move no state: it was asked to give way, it was warned, its files wait."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, cast, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from gpulab.states import JobState
from models.channels import YIELD
from models.composed import statement
from models.statements.transitions import OLD_STATE, announce
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.lease import Lease


@statement
def ask_to_yield(lease_token: UUID, *, message: str) -> Select[Any]:
    """Ask a running attempt to checkpoint and wait again. No row: it was asked before, or the lease is gone."""
    asked = (
        update(Lease)
        .where(
            Lease.token == lease_token,
            Lease.released_at.is_(None),
            Lease.claimed_at.is_not(None),
            Lease.yield_requested_at.is_(None),
        )
        .values(yield_requested_at=func.now())
        .returning(Lease.job_id)
        .cte("asked")
    )
    statement = _written(asked, event="job.yield_requested", actor="scheduler", message=message)
    return statement.add_columns(func.pg_notify(YIELD, cast(statement.selected_columns.id, Text)))


@statement(shape=("event",))
def warn(lease_token: UUID, *, event: str, actor: str, message: str) -> Select[Any]:
    """Write an event about a running attempt. No row: the lease is gone."""
    held = select(Lease.job_id).where(Lease.token == lease_token, Lease.released_at.is_(None)).cte("held")
    return _written(held, event=event, actor=actor, message=message)


def _written(jobs: Any, *, event: str, actor: str, message: str) -> Select[Any]:
    changed = (
        update(Job)
        .where(Job.id == jobs.c.job_id, Job.state == JobState.RUNNING)
        .values(version=Job.version + 1, changed_at=func.now())
        .returning(Job.id, Job.attempt, Job.version, Job.state, OLD_STATE)
        .cte("changed")
    )
    return announce(changed, event=event, actor=actor, message=message)


FILES_WAIT = "job.files_wait"
FILES_STORED = "job.files_stored"


@statement
def held_up() -> Select[*tuple[Any, ...]]:
    """Running jobs with files that wait: the event that says why. What was said last of a job's files counts."""
    said = (
        select(JobEvent.job_id, JobEvent.type, JobEvent.message)
        .join(Job, Job.id == JobEvent.job_id)
        .where(Job.state == JobState.RUNNING, JobEvent.type.in_([FILES_WAIT, FILES_STORED]))
        .ext(distinct_on(JobEvent.job_id))
        .order_by(JobEvent.job_id, JobEvent.id.desc())
        .subquery()
    )
    return select(said.c.job_id, said.c.message).where(said.c.type == FILES_WAIT)
