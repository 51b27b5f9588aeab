"""What runs recorded. Long lists go from the rows to the answer without a model in between; a test checks the shape."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from api.answers import service as answers
from api.answers.rules import is_answer
from api.auth.principal import Principal
from api.context import App
from api.jobs.service import visible
from api.results.downsample import kept_indexes
from api.results.gpu_usage import usage
from models.statements import leases, series
from models.tables.program import RAN_BY

DEFAULT_MAX_POINTS = 2000
LAB, PROGRAM = "lab", "program"
BY_SAMPLER = frozenset({"host", "gpu"})
"""Sources that are read from outside of a run. All others are the run's own words."""
MANY_POINTS = 5_000
"""More take too long to compute between two requests of others."""


async def metrics(
    app: App,
    principal: Principal,
    job_id: UUID,
    *,
    names: Sequence[str] | None,
    after_step: int | None,
    after: str | None,
    max_points: int | None,
) -> bytes:
    """The JSON of a `MetricsRead`."""
    job = await visible(app, principal, job_id)
    held = await answers.held_of_job(app, principal, job_id, job.experiment) is not None
    every = [row.name for row in await app.database.rows(series.metric_names, job_id=job_id)]
    if held:
        every = [name for name in every if not is_answer(name)]
        # Left out before they are counted: the cursor counts what the reader was sent.
        names = every if names is None else [name for name in names if not is_answer(name)]
    before, rows = await _chunks(app, job_id, names, after)
    last_id = max((row.id for row in rows), default=before.last_id if before else 0)
    points = (before.points if before else 0) + sum(len(row.steps) for row in rows)
    more = {"names": every, "cursor": f"{last_id}-{points}", "whole": before is None}

    def body() -> bytes:
        found = [
            _series(name, chunks, after_step, max_points)
            for name, chunks in groupby(rows, key=lambda row: str(row.name))
        ]
        return orjson.dumps({"job_id": job_id, "series": found, **more})

    return await _computed(app, rows, body)


async def _computed(app: App, rows: Sequence[Any], body: Callable[[], bytes]) -> bytes:
    """What `body` makes of the rows; of long series in a thread, so that other requests do not wait."""
    points = sum(len(row.times) for row in rows)
    return await app.heavy.run(body) if points > MANY_POINTS else body()


class _Cursor(NamedTuple):
    """What a reader has: everything up to a chunk, and how many points that was."""

    last_id: int
    points: int


async def _chunks(
    app: App, job_id: UUID, names: Sequence[str] | None, after: str | None
) -> tuple[_Cursor | None, Sequence[Any]]:
    """The chunks after the cursor; all of them, and no cursor, where what the reader has is no longer true."""
    if after is not None:
        cursor = _Cursor(*map(int, after.split("-")))
        rows = await app.database.rows(series.metric_chunks, job_id=job_id, names=names, after_id=cursor.last_id)
        # Counted after the rows were read: points that an attempt takes back meanwhile are noticed now or next time.
        kept = await app.database.scalar(series.metric_points, job_id=job_id, names=names, up_to_id=cursor.last_id)
        if kept == cursor.points:
            return cursor, rows
    return None, await app.database.rows(series.metric_chunks, job_id=job_id, names=names)


def _series(name: str, chunks: Iterable[Any], after_step: int | None, max_points: int | None) -> dict[str, Any]:
    steps: list[int] = []
    times: list[float] = []
    values: list[float] = []
    for chunk in chunks:
        steps += chunk.steps
        times += chunk.times
        values += chunk.values
    if after_step is not None:
        steps, times, values = _picked([i for i, step in enumerate(steps) if step > after_step], steps, times, values)
    total = len(steps)
    if max_points is not None and total > max_points:
        steps, times, values = _picked(kept_indexes(values, max_points), steps, times, values)
    # orjson writes null for what is not finite; JSON has no word for it.
    nonfinite = {str(i): str(value) for i, value in enumerate(values) if not math.isfinite(value)}
    return {
        "name": name,
        "steps": steps,
        "values": values,
        "times": times,
        "nonfinite": nonfinite,
        "total_points": total,
    }


def _picked(indexes: Sequence[int], *columns: Sequence[Any]) -> list[list[Any]]:
    return [[column[i] for i in indexes] for column in columns]


async def samples(app: App, principal: Principal, job_id: UUID, *, max_points: int | None) -> bytes:
    """The JSON of a `SamplesRead`; `max_points` bounds each track."""
    job = await visible(app, principal, job_id)
    own = PROGRAM if job.experiment in RAN_BY else LAB
    rows = await app.database.rows(series.sample_chunks, job_id=job_id)
    phases = await app.database.rows(series.phases, job_id=job_id)
    attempts = await app.database.rows(leases.attempts, job_id=job_id)
    lab_row = await app.database.row(series.predicted_peak, job_id=job_id)

    def body() -> bytes:
        tracks: dict[tuple[int, str, str | None], dict[str, Any]] = {}
        for row in rows:
            track = tracks.setdefault(
                (row.attempt, row.source, row.gpu_uuid), {"times": [], "values": {}, "reasons": {}}
            )
            _append(track, row._asdict())
        whole = [
            {
                "source": source,
                "reported_by": LAB if source in BY_SAMPLER else own,
                "gpu_uuid": gpu_uuid,
                "attempt": attempt,
                **track,
            }
            for (attempt, source, gpu_uuid), track in tracks.items()
        ]
        return orjson.dumps(
            {
                "job_id": job_id,
                "tracks": [track | _thinned(track, max_points) for track in whole],
                "phases": [
                    {"time": row.time, "name": row.name, "attempt": row.attempt, "reported_by": own} for row in phases
                ],
                "predicted_peak_bytes": _predicted(whole) or (lab_row[0] if lab_row else None),
                "usage": usage(
                    whole, {row.attempt for row in attempts}, {row.attempt for row in attempts if row.shared}
                ),
            }
        )

    return await _computed(app, rows, body)


def _predicted(tracks: Sequence[Mapping[str, Any]]) -> int | None:
    """What the latest attempt that predicted itself, on its own GPU, expects of the device."""
    peaks = [track["values"]["device_likely_bytes"][-1] for track in tracks if track["source"] == "prediction"]
    return peaks[-1] if peaks else None


def _append(track: dict[str, Any], chunk: Mapping[str, Any]) -> None:
    """Add a chunk; a field that only some chunks have is null in the others."""
    before, added = len(track["times"]), len(chunk["times"])
    track["times"] += chunk["times"]
    for field in track["values"].keys() | chunk["values"].keys():
        readings = track["values"].setdefault(field, [None] * before)
        readings += chunk["values"].get(field) or [None] * added
    track["reasons"] |= chunk["reasons"]


def _thinned(track: dict[str, Any], max_points: int | None) -> dict[str, Any]:
    times, values = track["times"], track["values"]
    if max_points is None or len(times) <= max_points:
        return track
    # Each field with numbers gets its share of the points, so that none loses its extremes to another.
    numeric = [
        readings for readings in values.values() if any(isinstance(reading, int | float) for reading in readings)
    ]
    share = max(4, max_points // max(1, len(numeric)))
    kept = sorted({i for readings in numeric for i in kept_indexes(readings, share)} | {0, len(times) - 1})
    (times,) = _picked(kept, times)
    return {**track, "times": times, "values": {field: _picked(kept, column)[0] for field, column in values.items()}}


def split_names(given: Sequence[str]) -> list[str]:
    """Names that were repeated, separated by commas, or both. Those that no run could have used are left out."""
    return [name for names in given for name in names.split(",") if name and "\0" not in name]
