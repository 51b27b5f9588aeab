"""What would have let a run through that ran out of memory: asked with its verdict, answered like any estimate.

The job's `failure` names under `advice` the verdict of its estimate that has the answer, until it was taken over.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, case, cast, func, null, select, update
from sqlalchemy.dialects.postgresql import JSONB

from gpulab.states import JobState
from models.composed import statement
from models.statements.transitions import announce
from models.tables.estimate import FAILED, PENDING, Estimate
from models.tables.job import Job
from models.tables.lease import Lease
from models.tables.node import Gpu

KEY = "advice"


@statement
def place(lease_token: UUID) -> Select[*tuple[Any, ...]]:
    """Of the job that holds a lease: its estimate, its device, and what is known of its first GPU."""
    return (
        select(
            Job.estimate_id,
            Job.device,
            Gpu.name,
            Gpu.memory_total_bytes,
            Gpu.constants,
            Estimate.family,
            Estimate.prediction["peak_device_bytes"]["likely_bytes"].label("predicted_bytes"),
        )
        .select_from(Lease)
        .join(Job, Job.id == Lease.job_id)
        .outerjoin(Gpu, Gpu.uuid == Lease.gpu_uuids[1])
        .outerjoin(Estimate, Estimate.id == Job.estimate_id)
        .where(Lease.token == lease_token)
    )


@statement(anew=True)
def seek(estimate_id: UUID, key: str, gpu: dict[str, Any]) -> Any:
    """Ask what would fit into what the run had, unless that was asked before."""
    failed = Estimate.state == FAILED
    return (
        update(Estimate)
        .where(Estimate.id == estimate_id, ~Estimate.wanted.has_key(key))
        .values(
            {
                "wanted": Estimate.wanted.op("||", return_type=JSONB)(cast({key: gpu}, JSONB)),
                "state": case((failed, FAILED), else_=PENDING),
                "attempts": 0,
                "rung_at": None,
            }
        )
        .returning(Estimate.id)
    )


@statement
def awaited(estimate_id: UUID) -> Select[*tuple[Any, ...]]:
    """Jobs whose advice an estimate has by now; they stay locked. It reads every failed job: call it where there may
    be one.
    """
    key = Job.failure[KEY].astext
    return (
        select(Job.id, Job.failure, Job.message, Estimate.fits[key].label("fit"))
        .join(Estimate, Estimate.id == Job.estimate_id)
        .where(
            Job.estimate_id == estimate_id,
            Job.state == JobState.FAILED,
            Job.failure.has_key(KEY),
            Estimate.fits.has_key(key),
        )
        .with_for_update(of=Job)
    )


@statement
def give(job_id: UUID, *, failure: dict[str, Any], message: str, actor: str) -> Select[Any]:
    """Take the advice over into the job that waits for it."""
    changed = (
        update(Job)
        .where(Job.id == job_id, Job.failure.has_key(KEY))
        .values({"failure": failure, "message": message, "version": Job.version + 1, "changed_at": func.now()})
        .returning(Job.id, Job.attempt, Job.version, Job.state, cast(null(), Text).label("from_state"))
        .cte("changed")
    )
    return announce(changed, event="job.advised", actor=actor, message=message)
