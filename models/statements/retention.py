"""What is forgotten of jobs that ended long ago. A job's row, its result, its metrics and its events stay.

Runs that were handed in for an assignment keep everything.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Select, Text, delete, func, insert, literal, null, select
from sqlalchemy.sql.dml import Insert

from models.composed import statement
from models.statements.transitions import text_of
from models.tables.artifact import Artifact, Checkpoint
from models.tables.assignment import Assignment, Submission
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.program import Program, ProgramUpload
from models.tables.series import LogChunk, SampleChunk
from models.times import ago

RETAIN_LOCK = 7_010_005
"""Advisory: one sweep at a time."""


@statement
def alone() -> Select[bool]:
    """Whether this transaction is the only one that sweeps."""
    return select(func.pg_try_advisory_xact_lock(RETAIN_LOCK))


@statement
def drop_samples(days: float, *, jobs: int) -> Select[UUID]:
    """Delete the samples of at most this number of jobs. Returns the jobs."""
    return _dropped(SampleChunk, days, jobs)


@statement
def drop_logs(days: float, *, jobs: int) -> Select[UUID]:
    """Delete the output of at most this number of jobs. Returns the jobs."""
    return _dropped(LogChunk, days, jobs)


@statement
def old_artifacts(days: float, *, limit: int) -> Select[*tuple[Any, ...]]:
    """Files to be deleted: `job_id`, `name`, `key`."""
    columns = (Artifact.job_id, Artifact.name, Artifact.key)
    found: Select[*tuple[Any, ...]] = _old(select(*columns), Artifact.job_id, days).limit(limit)
    return found


@statement
def old_checkpoints(days: float, *, limit: int) -> Select[*tuple[Any, ...]]:
    """Checkpoints to be deleted: `job_id`, `name`, `key`. No attempt follows on a final job."""
    columns = (Checkpoint.job_id, Checkpoint.name, Checkpoint.key)
    found: Select[*tuple[Any, ...]] = _old(select(*columns), Checkpoint.job_id, days).limit(limit)
    return found


@statement
def forget_artifact(job_id: UUID, name: str) -> Delete:
    return delete(Artifact).where(Artifact.job_id == job_id, Artifact.name == name)


@statement
def forget_checkpoint(job_id: UUID, name: str) -> Delete:
    return delete(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.name == name)


@statement
def drop_program(days: float) -> Select[str]:
    """Delete one program that nothing uses and that was not sent recently, with the record of who sent it.

    Returns it. An upload of the same program waits for the end of this transaction: delete the files before that.
    """
    recent = ago(days * 86_400)
    named = (Assignment.starter["spec"]["program"].astext, Assignment.hidden_check["spec"]["program"].astext)
    used = (
        select(Job.id).where(Job.program_sha256 == Program.sha256).exists(),
        select(ProgramUpload.id)
        .where(ProgramUpload.sha256 == Program.sha256, ProgramUpload.uploaded_at >= recent)
        .exists(),
        *(select(Assignment.id).where(name == Program.sha256).exists() for name in named),
    )
    found = (
        select(Program.sha256)
        .where(Program.created_at < recent, *(~condition for condition in used))
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte("found")
    )
    sent = delete(ProgramUpload).where(ProgramUpload.sha256 == found.c.sha256).returning(ProgramUpload.id).cte("sent")
    dropped = delete(Program).where(Program.sha256 == found.c.sha256).returning(Program.sha256).cte("dropped")
    return select(dropped.c.sha256).add_cte(sent)


@statement
def remember(job_ids: list[UUID], *, actor: str, message: str) -> Insert:
    """An event for each of the jobs that something was forgotten of."""
    about = select(
        Job.id, literal("job.pruned", Text), null(), null(), Job.attempt, text_of(actor), text_of(message)
    ).where(Job.id == func.any(job_ids))
    columns = ["job_id", "type", "from_state", "to_state", "attempt", "actor", "message"]
    return insert(JobEvent).from_select(columns, about)


def _dropped(table: type[SampleChunk] | type[LogChunk], days: float, jobs: int) -> Select[UUID]:
    old = _old(select(table.job_id).distinct(), table.job_id, days).limit(jobs).cte("old")
    dropped = delete(table).where(table.job_id == old.c.job_id).returning(table.job_id).cte("dropped")
    return select(dropped.c.job_id).distinct()


def _old(statement: Any, job_id: Any, days: float) -> Any:
    handed_in: ColumnElement[bool] = select(Submission.job_id).where(Submission.job_id == job_id).exists()
    return statement.join(Job, Job.id == job_id).where(Job.finished_at < ago(days * 86_400), ~handed_in)
