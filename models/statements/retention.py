"""What is forgotten of jobs that ended long ago. A job's row and its events stay.

Runs that were handed in for an assignment, or graded, keep everything. Runs for an assignment whose deadline is still
to come keep their metrics and their result.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Text,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import Insert

from models.composed import statement
from models.deadlines import LATE_TIME
from models.statements.transitions import text_of
from models.tables.artifact import Artifact, Checkpoint
from models.tables.assignment import Assignment, Extension, Grade, Submission
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.program import Program, ProgramUpload
from models.tables.series import LogChunk, MetricChunk, SampleChunk
from models.tables.study import StudyRun
from models.times import ago

RETAIN_LOCK = 7_010_005
"""Advisory: one sweep at a time."""
UNLIMITED_LATE_DAYS = 365
"""Late work without a limit counts as open for that long, or nothing of a class would ever be forgotten."""


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
def drop_metrics(days: float, *, jobs: int) -> Select[UUID]:
    """Delete the metrics of at most this number of jobs. Returns the jobs."""
    return _dropped(MetricChunk, days, jobs, ~_is_for_open_assignment())


@statement
def drop_results(days: float, *, jobs: int) -> Select[UUID]:
    """Delete the result of at most this number of jobs. Returns the jobs."""
    old = _old(select(Job.id), Job.id, days, joined=True)
    found = old.where(Job.result.is_not(None), ~_is_for_open_assignment()).limit(jobs).cte("old")
    return select(update(Job).where(Job.id == found.c.id).values(result=null()).returning(Job.id).cte("dropped").c.id)


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

    One that nobody has sent, since its users were deleted, need not be old.

    Returns it. An upload of the same program waits for the end of this transaction: delete the files before that.
    """
    recent = ago(days * 86_400)
    sent_by_anybody = select(ProgramUpload.id).where(ProgramUpload.sha256 == Program.sha256).exists()
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
        .where(or_(Program.created_at < recent, ~sent_by_anybody), *(~condition for condition in used))
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte("found")
    )
    sent = delete(ProgramUpload).where(ProgramUpload.sha256 == found.c.sha256).returning(ProgramUpload.id).cte("sent")
    dropped = delete(Program).where(Program.sha256 == found.c.sha256).returning(Program.sha256).cte("dropped")
    return select(dropped.c.sha256).add_cte(sent)


@statement
def remember(job_ids: list[UUID], *, removed: str, actor: str, message: str) -> Insert:
    """Write down what was forgotten of each of the jobs, and an event of it."""
    now = func.jsonb_build_object(text_of(removed), func.now())
    known = func.coalesce(Job.removed, cast(literal("{}", Text), JSONB))
    changed = (
        update(Job)
        .where(Job.id == func.any(job_ids))
        .values(removed=known.concat(now), version=Job.version + 1)
        .returning(Job.id, Job.attempt)
        .cte("changed")
    )
    about = select(
        changed.c.id, literal("job.pruned", Text), null(), null(), changed.c.attempt, text_of(actor), text_of(message)
    )
    columns = ["job_id", "type", "from_state", "to_state", "attempt", "actor", "message"]
    return insert(JobEvent).from_select(columns, about)


def _dropped(
    table: type[SampleChunk] | type[LogChunk] | type[MetricChunk], days: float, jobs: int, *conditions: Any
) -> Select[UUID]:
    found = _old(select(table.job_id).distinct(), table.job_id, days).where(*conditions)
    old = found.limit(jobs).cte("old")
    dropped = delete(table).where(table.job_id == old.c.job_id).returning(table.job_id).cte("dropped")
    return select(dropped.c.job_id).distinct()


def _old(statement: Any, job_id: Any, days: float, *, joined: bool = False) -> Any:
    pinned = (Submission.job_id, Submission.rerun_job_id, Submission.check_job_id, Grade.job_id)
    handed_in = or_(*(select(column).where(column == job_id).exists() for column in pinned))
    of_jobs = statement if joined else statement.join(Job, Job.id == job_id)
    return of_jobs.where(Job.finished_at < ago(days * 86_400), ~handed_in)


def _is_for_open_assignment() -> ColumnElement[bool]:
    """Whether a job is work on an assignment that somebody may still hand in, late work included."""
    extended = (
        select(func.max(Extension.deadline)).where(Extension.assignment_id == Assignment.id).correlate(Assignment)
    ).scalar_subquery()
    late = func.coalesce(LATE_TIME, func.make_interval(0, 0, 0, UNLIMITED_LATE_DAYS))
    is_open = func.greatest(Assignment.deadline, extended) + late > func.now()
    asked = select(StudyRun.job_id).where(StudyRun.job_id == Job.id, StudyRun.questions.overlap(Assignment.questions))
    is_work = or_(Job.experiment == func.any(Assignment.experiments), asked.correlate(Job, Assignment).exists())
    return select(Assignment.id).where(is_open, is_work).correlate(Job).exists()
