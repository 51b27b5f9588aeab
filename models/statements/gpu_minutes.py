"""The history of the GPUs: written with every heartbeat, forgotten after some days."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Delete, delete, func
from sqlalchemy.dialects.postgresql import Insert, insert

from models.composed import statement
from models.tables.node import GpuMinute
from models.times import ago

MEANS = ("utilization_percent", "power_watts")
PEAKS = ("memory_used_bytes", "temperature_celsius")


@statement(anew=True)
def keep(readings: Sequence[Mapping[str, Any]]) -> Insert:
    """Add a reading of each GPU to the minute: `gpu_uuid`, `node` and what is in `MEANS` and `PEAKS`, or null."""
    minute = func.date_trunc("minute", func.now())
    statement = insert(GpuMinute).values([{**reading, "minute": minute, "readings": 1} for reading in readings])
    means = {name: _mean(getattr(GpuMinute, name), statement.excluded[name]) for name in MEANS}
    peaks = {name: func.greatest(getattr(GpuMinute, name), statement.excluded[name]) for name in PEAKS}
    return statement.on_conflict_do_update(
        index_elements=[GpuMinute.minute, GpuMinute.gpu_uuid],
        set_={**means, **peaks, "node": statement.excluded.node, "readings": GpuMinute.readings + 1},
    )


def _mean(before: Any, reading: Any) -> ColumnElement[Any]:
    mean: ColumnElement[Any] = before + (reading - before) / (GpuMinute.readings + 1)
    return func.coalesce(mean, before, reading)


@statement
def drop(days: float) -> Delete:
    return delete(GpuMinute).where(GpuMinute.minute < ago(days * 86_400))
