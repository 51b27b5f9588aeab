"""Why a job waits, and what happened to it."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.http.cursors import decode_number, paged
from api.jobs import queue_position, statements
from api.jobs.lab_queue import expected_start
from api.jobs.service import visible
from api.jobs.start_sooner import BUSY, what_helps
from api.sql.database import Row
from gpulab.schemas import EstimateState, EventPage, EventRead, QueueRead
from gpulab.states import JobState, WaitReason
from gpulab.words import counted
from models.statements import job_events

NOT_WAITING = {
    JobState.LEASED: "this run does not wait: it is starting",
    JobState.RUNNING: "this run does not wait: it is running",
    JobState.SUCCEEDED: "this run is over: it succeeded",
    JobState.FAILED: "this run is over: it failed",
    JobState.CANCELLED: "this run is over: it was cancelled",
}


async def events(app: App, principal: Principal, job_id: UUID, cursor: str | None, limit: int) -> EventPage:
    """Oldest first. Raises `InvalidCursor`."""
    await visible(app, principal, job_id)
    filters = {"job_id": str(job_id)}

    def fetch(after: int | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(statements.events, job_id=job_id, after=after or 0, limit=most)

    rows, next_cursor = await paged(
        "events", filters, cursor, limit, fetch, decode=decode_number, position=lambda row: int(row.id)
    )
    items = [
        EventRead(
            id=row.id,
            at=row.at,
            type=row.type,
            from_state=row.from_state,
            to_state=row.to_state,
            attempt=row.attempt,
            actor=row.actor,
            message=row.message,
        )
        for row in rows
    ]
    return EventPage(items=items, next_cursor=next_cursor)


async def queue(app: App, principal: Principal, job_id: UUID) -> QueueRead:
    job = await visible(app, principal, job_id)
    state = JobState(job.state)
    if state is not JobState.QUEUED:
        return _waits_not(state)
    row = await app.database.row(statements.waiting, job_id=job_id)
    place = await app.database.row(
        queue_position.place,
        job_id=job_id,
        foresight_seconds=app.settings.foresight_seconds,
        silence_seconds=app.settings.lease_seconds,
    )
    if row is None or place is None:
        # It started, or ended, between two looks.
        return _waits_not(JobState((await visible(app, principal, job_id)).state))
    held_up = await app.database.rows(job_events.held_up) if row.wait_reason in BUSY else []
    return _waits(row, place, held_up, await expected_start(app, row.estimated_start_at, place.place))


def _waits(job: Row, place: Row, held_up: Sequence[Row], start_at: datetime | None) -> QueueRead:
    explanation = _explanation(job)
    if held_up:
        holding = f"{counted(len(held_up), 'running job')} may have the same cause"
        explanation = f"{explanation}; the artifact store does not accept files, and {holding}: {held_up[0].message}"
    return QueueRead(
        state=JobState.QUEUED,
        position=place.place,
        reason=job.wait_reason or WaitReason.NEXT_IN_LINE,
        explanation=explanation,
        estimated_start_at=start_at,
        would_help=list(what_helps(job, own_ahead=place.own)),
    )


def _explanation(job: Row) -> str:
    if job.wait_reason == WaitReason.ESTIMATING and job.estimate_state == EstimateState.PENDING:
        if job.estimate_node is not None:
            return f"its GPU memory is being predicted by the worker of {job.estimate_node}"
        return "its GPU memory will be predicted as soon as a worker is free"
    return job.message if job.wait_reason and job.message else "the scheduler has not looked at it yet"


def _waits_not(state: JobState) -> QueueRead:
    return QueueRead(
        state=state,
        position=None,
        reason=WaitReason.NOT_WAITING,
        explanation=NOT_WAITING[state],
        estimated_start_at=None,
        would_help=[],
    )
