"""How well the lab predicts GPU memory: its own runs, by model family and GPU model."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import fmean, median, quantiles

from api.context import App
from api.sql.database import Row
from gpulab.schemas import AccuracyPoint, AccuracyRead, AccuracyRow
from models.margin import QUANTILE, RUNS, margin
from models.statements.memory import peaks


async def read(app: App) -> AccuracyRead:
    rows = await app.database.rows(peaks.measured, limit=RUNS)
    groups = groupby(rows, key=lambda row: (row.family, row.gpu))
    return AccuracyRead(items=[_row(*key, list(runs)) for key, runs in groups])


def _row(family: str, gpu: str, runs: Sequence[Row]) -> AccuracyRow:
    errors = [run.device_bytes / run.predicted_likely_bytes - 1 for run in runs if run.device_bytes is not None]
    allocated = [run.allocated_bytes / run.predicted_allocated_bytes - 1 for run in runs if run.allocated_bytes]
    prior = fmean(run.predicted_high_bytes / run.predicted_likely_bytes - 1 for run in runs)
    upper = quantile(errors)
    return AccuracyRow(
        family=family,
        gpu=gpu,
        runs=len(errors),
        median_error=median(errors) if errors else None,
        p95_error=upper,
        median_allocated_error=median(allocated) if allocated else None,
        margin=margin(prior, len(errors), upper),
        points=_points(runs),
    )


def quantile(values: Sequence[float]) -> float | None:
    """As PostgreSQL's `percentile_cont`: linear between neighbours; null of nothing."""
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=100, method="inclusive")[round(100 * QUANTILE) - 1]


def _points(runs: Iterable[Row]) -> list[AccuracyPoint]:
    return [
        AccuracyPoint(
            at=run.at,
            predicted_bytes=run.predicted_likely_bytes,
            measured_bytes=run.device_bytes,
            predicted_allocated_bytes=run.predicted_allocated_bytes,
            allocated_bytes=run.allocated_bytes,
        )
        for run in runs
    ]
