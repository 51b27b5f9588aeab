"""Reading what runs recorded, and taking back what a resumed attempt records again."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CompoundSelect, Select, Text, bindparam, cast, delete, func, select, text, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import Delete, Insert, ReturningInsert

from models.composed import statement
from models.tables.artifact import Artifact, Checkpoint
from models.tables.estimate import Estimate
from models.tables.job import Job
from models.tables.series import LogChunk, MetricChunk, Phase, SampleChunk


@statement
def metric_names(job_id: UUID) -> Select[str]:
    return select(MetricChunk.name).where(MetricChunk.job_id == job_id).distinct().order_by(MetricChunk.name)


@statement
def metric_chunks(job_id: UUID, names: Sequence[str] | None = None, after_id: int = 0) -> Select[*tuple[Any, ...]]:
    """Id, name, steps, times and values in the order they were recorded; only of later chunks than `after_id`."""
    statement = select(
        MetricChunk.id, MetricChunk.name, MetricChunk.steps, MetricChunk.times, MetricChunk.values
    ).where(MetricChunk.job_id == job_id, MetricChunk.id > after_id)
    if names is not None:
        statement = statement.where(MetricChunk.name == func.any(names))
    return statement.order_by(MetricChunk.name, MetricChunk.id)


@statement
def metric_points(job_id: UUID, up_to_id: int, names: Sequence[str] | None = None) -> Select[int]:
    """How many points the chunks up to this one hold; fewer than before where some were taken back."""
    count = func.coalesce(func.sum(func.cardinality(MetricChunk.steps)), 0)
    statement = select(cast(count, BigInteger)).where(MetricChunk.job_id == job_id, MetricChunk.id <= up_to_id)
    return statement if names is None else statement.where(MetricChunk.name == func.any(names))


@statement
def keep_metrics() -> Insert:
    """Rows of chunks, to be executed with `metric_chunk` of each."""
    columns = MetricChunk.__table__.c
    plain = {name: bindparam(name, type_=columns[name].type) for name in ("job_id", "attempt", "name")}
    arrays = {name: cast(bindparam(name, type_=Text), columns[name].type) for name in ("steps", "times", "values")}
    return insert(MetricChunk).values(plain | arrays)


def metric_chunk(
    job_id: UUID, attempt: int, name: str, *, steps: Sequence[int], times: Sequence[float], values: Sequence[float]
) -> dict[str, Any]:
    """One row for `keep_metrics`. Each array travels as one text: the driver would format it number by number."""
    arrays = {"steps": steps, "times": times, "values": values}
    return {"job_id": job_id, "attempt": attempt, "name": name, **{key: _array(of) for key, of in arrays.items()}}


@statement(anew=True)
def shorten_metrics(job_id: UUID, after_time: float) -> Any:
    """Drop the points recorded after `after_time` (Unix seconds): the next attempt goes on from there. Run
    `drop_empty_metrics` after it.
    """
    return text(
        """
        UPDATE metric_chunks SET
            steps = ARRAY(SELECT s FROM unnest(steps, times) WITH ORDINALITY AS u(s, t, i)
                          WHERE t <= :time ORDER BY i),
            values = ARRAY(SELECT v FROM unnest(values, times) WITH ORDINALITY AS u(v, t, i)
                           WHERE t <= :time ORDER BY i),
            times = ARRAY(SELECT t FROM unnest(times) WITH ORDINALITY AS u(t, i) WHERE t <= :time ORDER BY i)
        WHERE job_id = :job_id AND times[cardinality(times)] > :time
        """
    ).bindparams(job_id=job_id, time=after_time)


@statement
def drop_empty_metrics(job_id: UUID) -> Delete:
    return delete(MetricChunk).where(MetricChunk.job_id == job_id, func.cardinality(MetricChunk.steps) == 0)


@statement
def sample_chunks(job_id: UUID) -> Select[SampleChunk]:
    return select(SampleChunk).where(SampleChunk.job_id == job_id).order_by(SampleChunk.id)


@statement
def phases(job_id: UUID) -> Select[Phase]:
    return select(Phase).where(Phase.job_id == job_id).order_by(Phase.id)


@statement
def predicted_peak(job_id: UUID) -> Select[int]:
    """The lab's own prediction of the job's peak on a GPU, likely, made when it was submitted; null where none was."""
    likely = Estimate.prediction["peak_device_bytes"]["likely_bytes"].astext
    return select(cast(likely, BigInteger)).join(Job, Job.estimate_id == Estimate.id).where(Job.id == job_id)


@statement
def log_end(job_id: UUID) -> Select[int]:
    """Bytes of output kept so far; no row: none."""
    return (
        select(LogChunk.start + func.octet_length(LogChunk.data))
        .where(LogChunk.job_id == job_id)
        .order_by(LogChunk.start.desc())
        .limit(1)
    )


@statement
def log_chunks(job_id: UUID, *, offset: int, limit: int) -> Select[int, bytes]:
    """Pieces that reach past `offset`, at most `limit` of them."""
    first = (
        select(func.max(LogChunk.start)).where(LogChunk.job_id == job_id, LogChunk.start <= offset).scalar_subquery()
    )
    return (
        select(LogChunk.start, LogChunk.data)
        .where(LogChunk.job_id == job_id, LogChunk.start >= func.coalesce(first, 0))
        .order_by(LogChunk.start)
        .limit(limit)
    )


@statement
def artifacts(job_id: UUID) -> Select[Artifact]:
    return select(Artifact).where(Artifact.job_id == job_id).order_by(Artifact.name)


@statement
def artifact_keys(job_id: UUID) -> Select[str, str]:
    """Name and key of each file."""
    return select(Artifact.name, Artifact.key).where(Artifact.job_id == job_id).order_by(Artifact.name)


@statement
def artifact(job_id: UUID, name: str) -> Select[Artifact]:
    return select(Artifact).where(Artifact.job_id == job_id, Artifact.name == name)


@statement
def keys(job_id: UUID) -> CompoundSelect[str]:
    """What the rows of a job name in the store."""
    return union_all(
        select(Artifact.key).where(Artifact.job_id == job_id), select(Checkpoint.key).where(Checkpoint.job_id == job_id)
    )


@statement(anew=True)
def keep_artifact(values: dict[str, Any]) -> ReturningInsert[str | None]:
    """A name written again replaces the file before it; returns that one's key, or null."""
    return _upsert(Artifact, values, ("job_id", "name"))


@statement(anew=True)
def keep_checkpoint(values: dict[str, Any]) -> ReturningInsert[str | None]:
    """Returns the key of the one before, or null."""
    return _upsert(Checkpoint, values, ("job_id",))


@statement
def checkpoint(job_id: UUID) -> Select[Checkpoint]:
    return select(Checkpoint).where(Checkpoint.job_id == job_id)


def _upsert(
    table: type[Artifact] | type[Checkpoint], values: dict[str, Any], key: Sequence[str]
) -> ReturningInsert[str | None]:
    before = aliased(table)
    # Seen as it was when the statement began.
    replaced = select(before.key).where(*(getattr(before, name) == values[name] for name in key)).scalar_subquery()
    statement = insert(table).values(**values)
    changes = {name: statement.excluded[name] for name in values if name not in key}
    return statement.on_conflict_do_update(
        index_elements=list(key), set_={**changes, "created_at": func.now()}
    ).returning(replaced)


def _array(numbers: Sequence[float]) -> str:
    """As PostgreSQL writes an array: JSON's digits give every number back to the bit, and NaN and Infinity by name."""
    return "{" + json.dumps(numbers)[1:-1] + "}"


@statement
def handed_in(job_id: UUID) -> Select[*tuple[Any, ...]]:
    """What the run was asked for and what it found. Nothing of its owner: a check judges work and no person."""
    return select(Job.id, Job.experiment, Job.spec, Job.seed, Job.program_sha256, Job.result).where(Job.id == job_id)
