"""The queue of the whole lab, as every user may see it: counts, one's own place, and when one's next run may start."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select

from api.auth.principal import Principal
from api.context import App
from api.jobs import queue_position
from gpulab.schemas import LabQueueRead, QueuedRunRead
from gpulab.states import FINAL_STATES, JobState
from models.composed import statement
from models.event import JobEvent
from models.job import Job

QUEUED, RUNNING = JobState.QUEUED.value, JobState.RUNNING.value
UNFINISHED = [state.value for state in JobState if state not in FINAL_STATES]
PACE_WINDOW_SECONDS = 3600.0
MAX_PACE_EVENTS = 2000
"""The newest events, which are looked through for starts: it keeps the look short in a busy lab."""
MIN_STARTS = 3
"""Fewer starts say nothing about the pace."""


@statement
def counts(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """How many runs run and wait, of all and of the user."""
    waits, own = Job.state == QUEUED, Job.owner_id == user_id
    return select(
        func.count().filter(~waits).label("running"),
        func.count().filter(waits).label("waiting"),
        func.count(Job.owner_id.distinct()).filter(waits).label("users_waiting"),
        func.count().filter(~waits, own).label("your_running"),
        func.count().filter(waits, own).label("your_waiting"),
    ).where(Job.state.in_(UNFINISHED))


@statement
def next_run(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """The user's run that the scheduler looks at first."""
    return (
        select(Job.id, Job.experiment, Job.name, Job.estimated_start_at)
        .where(Job.owner_id == user_id, Job.state == QUEUED)
        .order_by(queue_position.rank(Job.priority), Job.id)
        .limit(1)
    )


@statement
def pace(window_seconds: float) -> Select[*tuple[Any, ...]]:
    """`starts` within the window, and how many `seconds` they took."""
    # Not a timedelta: the API compiles the statement once, with a parameter in its place.
    window = func.make_interval(0, 0, 0, 0, 0, 0, window_seconds)
    newest = select(JobEvent.at, JobEvent.to_state).order_by(JobEvent.id.desc()).limit(MAX_PACE_EVENTS).subquery()
    seconds: ColumnElement[Any] = func.extract("epoch", func.now() - func.min(newest.c.at))
    return select(
        func.count().filter(newest.c.to_state == RUNNING).label("starts"),
        seconds.label("seconds"),
        func.now().label("now"),
    ).where(newest.c.at > func.now() - window)


async def expected_start(app: App, promised: datetime | None, place: int) -> datetime | None:
    """The scheduler's promise, else when the run's turn comes if runs go on starting as they did."""
    if promised is not None:
        return promised
    (seen,) = await app.database.rows(pace, window_seconds=PACE_WINDOW_SECONDS)
    if seen.starts < MIN_STARTS:
        return None
    started: datetime = seen.now
    return started + place * timedelta(seconds=float(seen.seconds) / seen.starts)


async def lab_queue(app: App, principal: Principal) -> LabQueueRead:
    (found,) = await app.database.rows(counts, user_id=principal.id)
    (seen,) = await app.database.rows(pace, window_seconds=PACE_WINDOW_SECONDS)
    return LabQueueRead(**found._asdict(), started_last_hour=seen.starts, next=await _next(app, principal))


async def _next(app: App, principal: Principal) -> QueuedRunRead | None:
    run = await app.database.row(next_run, user_id=principal.id)
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
