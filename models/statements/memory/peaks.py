"""What runs were predicted to take of a GPU and took: the lab learns its margins from it."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Float, Select, and_, case, cast, func, select, true
from sqlalchemy.dialects.postgresql import JSONB, insert

from gpulab.schemas.memory import Verdict
from models.composed import statement
from models.margin import QUANTILE, RUNS
from models.tables.estimate import PROGRAM, Estimate, MeasuredPeak
from models.tables.job import Job
from models.tables.lease import Lease
from models.tables.node import GPU_KEY, Gpu
from models.tables.series import SampleChunk


@statement
def excesses() -> Select[*tuple[Any, ...]]:
    """Of each family and GPU model: how many of the latest runs were measured, and the quantile of their excess."""
    latest = (
        select(
            MeasuredPeak.family,
            MeasuredPeak.gpu,
            (MeasuredPeak.device_bytes * 1.0 / MeasuredPeak.predicted_likely_bytes - 1).label("excess"),
            func.row_number()
            .over(partition_by=(MeasuredPeak.family, MeasuredPeak.gpu), order_by=MeasuredPeak.at.desc())
            .label("place"),
        )
        .where(MeasuredPeak.device_bytes.is_not(None))
        .subquery()
    )
    quantile = cast(func.percentile_cont(QUANTILE).within_group(latest.c.excess), Float(53))
    return (
        select(latest.c.family, latest.c.gpu, func.count().label("runs"), quantile.label("excess"))
        .where(latest.c.place <= RUNS)
        .group_by(latest.c.family, latest.c.gpu)
    )


@statement
def measured(*, limit: int) -> Select[*tuple[Any, ...]]:
    """The latest runs of each family and GPU model, oldest first."""
    table = MeasuredPeak.__table__
    place = func.row_number().over(partition_by=(table.c.family, table.c.gpu), order_by=table.c.at.desc())
    latest = select(*table.c, place.label("place")).subquery()
    return select(latest).where(latest.c.place <= limit).order_by(latest.c.family, latest.c.gpu, latest.c.at)


@statement
def measure(job_id: UUID) -> Any:
    """Keep what a run on a GPU was predicted to take and what its samples show, where both are known."""
    allocated = func.coalesce(_peak("allocator", "peak_allocated_bytes"), _peak("allocator", "allocated_bytes"))
    alone = case((Lease.reserved_bytes.is_(None), _peak("gpu", "device_used_bytes")), else_=None)
    device = func.coalesce(_peak("gpu", "process_used_bytes"), alone)
    fit = Estimate.fits[GPU_KEY]
    peak = func.coalesce(fit["peak_device_bytes"], Estimate.prediction["peak_device_bytes"])
    found = (
        select(
            Job.id,
            Job.attempt,
            Estimate.id,
            Estimate.family,
            Gpu.name,
            _number(Estimate.prediction["peak_allocated_bytes"]),
            _number(Estimate.prediction["peak_reserved_bytes"]),
            *(_number(peak.op("->", return_type=JSONB)(end)) for end in ("low_bytes", "likely_bytes", "high_bytes")),
            allocated,
            _peak("allocator", "reserved_bytes"),
            device,
        )
        .join(Estimate, Estimate.id == Job.estimate_id)
        .join(Lease, and_(Lease.job_id == Job.id, Lease.attempt == Job.attempt))
        .join(Gpu, Gpu.uuid == Job.gpu_uuids[1])
        .where(
            Job.id == job_id,
            # What a program says of itself teaches nothing.
            Estimate.family != PROGRAM,
            Estimate.prediction.is_not(None),
            fit["verdict"].astext.is_distinct_from(Verdict.NOT_PREDICTED),
            func.coalesce(allocated, device).is_not(None),
        )
    )
    columns = [column.name for column in MeasuredPeak.__table__.columns if column.name != "at"]
    return insert(MeasuredPeak).from_select(columns, found).on_conflict_do_nothing()


@statement
def took(job_id: UUID) -> Select[*tuple[Any, ...]]:
    """What a run's GPU showed of it, and what its allocator held at most; null where nothing was seen."""
    device, allocator = _peak("gpu", "process_used_bytes"), _peak("allocator", "reserved_bytes")
    return select(device.label("device_bytes"), allocator.label("allocator_bytes")).where(Job.id == job_id)


def _peak(source: str, name: str) -> Any:
    """The greatest value of a track of the job's latest attempt; null where every value is."""
    every = func.jsonb_array_elements_text(func.coalesce(SampleChunk.values[name], cast([], JSONB))).table_valued(
        "value"
    )
    return (
        select(func.max(cast(every.c.value, BigInteger)))
        .select_from(SampleChunk)
        .join(every, true())
        .where(SampleChunk.job_id == Job.id, SampleChunk.attempt == Job.attempt, SampleChunk.source == source)
        .correlate(Job)
        .scalar_subquery()
    )


def _number(value: Any) -> Any:
    return cast(value, BigInteger)
