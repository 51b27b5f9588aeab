"""The queue of the whole lab, as every user may see it: counts, one's own place, and when one's next run may start."""

from datetime import datetime, timedelta

from api.auth.principal import Principal
from api.context import App
from api.jobs import queue_position
from gpulab.schemas import LabQueueRead, QueuedRunRead

PACE_WINDOW_SECONDS = 3600.0
MIN_STARTS = 3
"""Fewer starts say nothing about the pace."""


async def expected_start(app: App, promised: datetime | None, place: int) -> datetime | None:
    """The scheduler's promise, else when the run's turn comes if runs go on starting as they did."""
    if promised is not None:
        return promised
    (seen,) = await app.database.rows(queue_position.pace, window_seconds=PACE_WINDOW_SECONDS)
    if seen.starts < MIN_STARTS:
        return None
    started: datetime = seen.now
    return started + place * timedelta(seconds=float(seen.seconds) / seen.starts)


async def lab_queue(app: App, principal: Principal) -> LabQueueRead:
    (found,) = await app.database.rows(queue_position.counts, user_id=principal.id)
    (seen,) = await app.database.rows(queue_position.pace, window_seconds=PACE_WINDOW_SECONDS)
    return LabQueueRead(**found._asdict(), started_last_hour=seen.starts, next=await _next(app, principal))


async def _next(app: App, principal: Principal) -> QueuedRunRead | None:
    run = await app.database.row(queue_position.next_run, user_id=principal.id)
    place = run and await app.database.row(
        queue_position.place,
        job_id=run.id,
        foresight_seconds=app.settings.foresight_seconds,
        silence_seconds=app.settings.lease_seconds,
    )
    if run is None or place is None:
        # None waits, or it started between two looks.
        return None
    return QueuedRunRead(
        job_id=run.id,
        experiment=run.experiment,
        name=run.name,
        position=place.place,
        estimated_start_at=await expected_start(app, run.estimated_start_at, place.place),
    )
