"""Events of a running job that move no state: it was asked to give way, it was warned."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, cast, func, select, update

from gpulab.states import JobState
from models.channels import YIELD
from models.composed import statement
from models.job import Job
from models.lease import Lease
from models.statements.transitions import OLD_STATE, announce


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
    statement = _remark(asked, event="job.yield_requested", actor="scheduler", message=message)
    return statement.add_columns(func.pg_notify(YIELD, cast(statement.selected_columns.id, Text)))


@statement(shape=("event",))
def warn(lease_token: UUID, *, event: str, actor: str, message: str) -> Select[Any]:
    """Write an event about a running attempt. No row: the lease is gone."""
    held = select(Lease.job_id).where(Lease.token == lease_token, Lease.released_at.is_(None)).cte("held")
    return _remark(held, event=event, actor=actor, message=message)


def _remark(jobs: Any, *, event: str, actor: str, message: str) -> Select[Any]:
    changed = (
        update(Job)
        .where(Job.id == jobs.c.job_id, Job.state == JobState.RUNNING)
        .values(version=Job.version + 1, changed_at=func.now())
        .returning(Job.id, Job.attempt, Job.version, Job.state, OLD_STATE)
        .cte("changed")
    )
    return announce(changed, event=event, actor=actor, message=message)
