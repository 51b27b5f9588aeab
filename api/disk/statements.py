"""What users' data takes, read from sizes that the tables already hold. Nothing is unpacked for it."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, Subquery, case, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on

from gpulab.schemas import DiskAge, DiskKind
from models.composed import statement
from models.tables.artifact import Artifact, Checkpoint
from models.tables.job import Job
from models.tables.program import Program, ProgramUpload
from models.tables.series import LogChunk, MetricChunk, SampleChunk
from models.tables.user import User
from models.times import ago

AGE_DAYS = {DiskAge.WEEK: 7, DiskAge.MONTH: 30, DiskAge.QUARTER: 90}


@statement
def uses(user_id: UUID | None = None) -> Select[*tuple[Any, ...]]:
    """Bytes by user, kind and age; of all users if none is named."""
    of_jobs = (
        (DiskKind.ARTIFACTS, Artifact.job_id, Artifact.size_bytes, Artifact.created_at),
        (DiskKind.CHECKPOINTS, Checkpoint.job_id, Checkpoint.size_bytes, Checkpoint.created_at),
        (DiskKind.OUTPUT, LogChunk.job_id, _stored(LogChunk.data), Job.submitted_at),
        (DiskKind.SERIES, MetricChunk.job_id, _stored(MetricChunk.steps, MetricChunk.times, MetricChunk.values),
         Job.submitted_at),
        (DiskKind.SERIES, SampleChunk.job_id, _stored(SampleChunk.times, SampleChunk.values, SampleChunk.reasons),
         Job.submitted_at),
    )  # fmt: skip
    parts = [
        _summed(kind, Job.owner_id, size, at, user_id).join_from(job_id.class_, Job, Job.id == job_id)
        for kind, job_id, size, at in of_jobs
    ]
    # A program is stored once: it counts for the first user who sent it.
    first = (
        select(ProgramUpload.sha256, ProgramUpload.user_id)
        .ext(distinct_on(ProgramUpload.sha256))
        .order_by(ProgramUpload.sha256, ProgramUpload.id)
        .subquery()
    )
    parts.append(
        _summed(DiskKind.PROGRAMS, first.c.user_id, Program.size_bytes, Program.created_at, user_id).join_from(
            Program, first, first.c.sha256 == Program.sha256
        )
    )
    return _by_user(union_all(*parts).subquery())


@statement
def database_bytes() -> Select[int]:
    return select(func.pg_database_size(func.current_database()))


@statement
def may_read_wal() -> Select[bool]:
    """Whether this account may ask PostgreSQL for the size of its write-ahead log."""
    return select(func.has_function_privilege("pg_ls_waldir()", "execute"))


@statement
def wal_bytes() -> Select[Any]:
    files = func.pg_ls_waldir().table_valued("name", "size", "modification")
    return select(func.sum(files.c.size))


def _stored(*columns: Any) -> ColumnElement[int]:
    """As stored, compressed or not."""
    return sum((func.pg_column_size(column) for column in columns[1:]), func.pg_column_size(columns[0]))


def _summed(kind: DiskKind, owner: Any, size: Any, at: Any, user_id: UUID | None) -> Select[*tuple[Any, ...]]:
    age = case(*((at > ago(days * 86_400.0), literal(name, String)) for name, days in AGE_DAYS.items()),
               else_=literal(DiskAge.OLDER, String))  # fmt: skip
    found = select(
        owner.label("user_id"), literal(kind, String).label("kind"), age.label("age"), func.sum(size).label("bytes")
    ).group_by(owner, age)
    return found if user_id is None else found.where(owner == user_id)


def _by_user(parts: Subquery) -> Select[*tuple[Any, ...]]:
    columns = (parts.c.user_id, User.name, parts.c.kind, parts.c.age)
    return (
        select(*columns, func.sum(parts.c.bytes).label("size_bytes"))
        .join(User, User.id == parts.c.user_id)
        .group_by(*columns)
    )
