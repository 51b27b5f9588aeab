"""Event streams: notices that something changed, each with an id to go on from. No database session is held by one.

A stream first catches up from `job_events` with what came after `Last-Event-ID`, then passes on what the hub hears. It
delivers at least once: what a reader missed it gets, and it may get a notice twice. Of the stream of all jobs the ids
need not grow: two transactions may commit in another order than they drew their ids.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from functools import lru_cache
from uuid import UUID

import orjson
import psycopg
import structlog
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from api.auth.principal import Principal
from api.context import App
from api.http.problems import Busy
from api.jobs import statements as jobs
from api.live.subscriptions import EVERYTHING, JobChanged, Notice, RecordsGrew, Resync, Topic
from api.sharing.service import seen_by
from api.sql.database import Row
from gpulab.states import FINAL_STATES, JobState

KEEP_ALIVE_SECONDS = 15.0
PAUSE_SECONDS = 0.1
"""Between two looks at the hub, so that a storm of notices travels as one packet."""
RETRY_MILLISECONDS = 1000
REPLAY_LIMIT = 1000
OVERLAP = 100
"""Ids before the last one seen that are read again: their transactions may have committed after it."""
UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

log = structlog.get_logger()


class EventStream(EventSourceResponse):
    """A stream that takes a place for as long as it is open, and ends where the database is away.

    Its reader comes back with `Last-Event-ID`; an error in the middle of a response would not help it.
    """

    def __init__(self, app: App, principal: Principal, events: AsyncGenerator[bytes]) -> None:
        super().__init__(_until_away(events), headers=UNBUFFERED)
        self._place = app.open_answers.taken(principal.id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


async def _until_away(events: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    try:
        async with aclosing(events) as open_now:
            async for event in open_now:
                yield event
    except (psycopg.OperationalError, Busy) as error:
        log.warning("stream.ended", reason=str(error).partition("\n")[0])


async def of_job(app: App, principal: Principal, job_id: UUID, last_event_id: int | None) -> AsyncGenerator[bytes]:
    """The notices of one job; ends after its final state."""
    with app.stream_guard.subscribed(Topic(job_id=job_id), principal) as subscription:
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        missed = await app.database.rows(jobs.notices, after=last_event_id or 0, limit=REPLAY_LIMIT, job_id=job_id)
        if last_event_id is None:
            # A newcomer needs to know where things stand, not how they came there.
            missed = missed[-1:]
        sent, final = last_event_id or 0, False
        for notice in _replayed(missed):
            yield _encoded(notice)
            sent, final = notice.event_id, notice.state in FINAL_STATES
        while not final and (notices := await subscription.take(KEEP_ALIVE_SECONDS)) is not None:
            fresh = [n for n in notices if not (isinstance(n, JobChanged) and n.event_id <= sent)]
            yield b"".join(map(_encoded, fresh)) or KEEPALIVE_COMMENT
            await asyncio.sleep(PAUSE_SECONDS)
            final = any(isinstance(n, JobChanged) and n.state in FINAL_STATES for n in fresh)


async def of_all(app: App, principal: Principal, last_event_id: int | None) -> AsyncGenerator[bytes]:
    """The notices of every job that the principal may see."""
    topic = EVERYTHING if principal.is_staff else Topic(owner_id=principal.id)
    with app.stream_guard.subscribed(topic, principal) as subscription:
        latest = await app.database.scalar(jobs.latest_event)
        if last_event_id is not None:
            yield b"".join(map(_encoded, await _missed(app, principal, last_event_id)))
        yield format_sse_event(event="ready", data_str="{}", id=str(latest), retry=RETRY_MILLISECONDS)
        while (notices := await subscription.take(KEEP_ALIVE_SECONDS)) is not None:
            yield b"".join(map(_encoded, await _visible(app, principal, notices))) or KEEPALIVE_COMMENT
            await asyncio.sleep(PAUSE_SECONDS)


async def _visible(app: App, principal: Principal, notices: Sequence[Notice]) -> Sequence[Notice]:
    """Who teaches some courses of the lab hears of all jobs, and passes on what is of theirs."""
    if principal.sees_all or not principal.is_staff:
        return notices
    asked = [one.job_id for one in notices if not isinstance(one, Resync)]
    seen = {row.id for row in await app.database.rows(jobs.visible_among, job_ids=asked, **seen_by(principal))}
    return [one for one in notices if isinstance(one, Resync) or one.job_id in seen]


async def is_over(app: App, job_id: UUID, state: JobState, last_event_id: int | None) -> bool:
    """Whether a stream of the job would have nothing to say, ever again, to who has seen `last_event_id`."""
    if state not in FINAL_STATES or last_event_id is None:
        return False
    latest: int = await app.database.scalar(jobs.latest_event, job_id=job_id)
    return last_event_id >= latest


async def _missed(app: App, principal: Principal, last_event_id: int) -> Sequence[Notice]:
    after = max(0, last_event_id - OVERLAP)
    rows = await app.database.rows(jobs.notices, after=after, limit=REPLAY_LIMIT, **seen_by(principal))
    return [Resync()] if len(rows) == REPLAY_LIMIT else _replayed(rows)


def _replayed(rows: Iterable[Row]) -> list[JobChanged]:
    return [JobChanged(row.job_id, row.event_id, row.version, JobState(row.to_state)) for row in rows]


@lru_cache(maxsize=1024)
def _encoded(notice: Notice) -> bytes:
    match notice:
        case JobChanged(job_id, event_id, version, state):
            data = {"job_id": job_id, "event_id": event_id, "version": version, "state": state}
            return format_sse_event(event="job", data_str=orjson.dumps(data).decode(), id=str(event_id))
        case RecordsGrew(job_id):
            return format_sse_event(event="records", data_str=orjson.dumps({"job_id": job_id}).decode())
        case Resync():
            return format_sse_event(event="resync", data_str="{}")
