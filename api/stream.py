"""Event streams: notices that something changed, each with an id to go on from. No database session is held by one.

A stream first catches up from `job_events` with what came after `Last-Event-ID`, then passes on what the hub hears. It
delivers at least once: what a reader missed it gets, and it may get a notice twice. Of the stream of all jobs the ids
need not grow: two transactions may commit in another order than they drew their ids.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import lru_cache
from uuid import UUID

import orjson
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.auth import Principal
from api.context import Lab
from api.database import Row
from api.hub import JobChanged, Notice, RecordsGrew, Resync
from gpulab.states import FINAL_STATES, JobState
from models.statements import jobs

KEEP_ALIVE_SECONDS = 15.0
PAUSE_SECONDS = 0.1
"""Between two looks at the hub, so that a storm of notices travels as one packet."""
RETRY_MILLISECONDS = 1000
REPLAY_LIMIT = 1000
OVERLAP = 100
"""So many ids before the last one seen are looked at again: their transactions may have committed after it."""


async def of_job(lab: Lab, principal: Principal, job_id: UUID, last_event_id: int | None) -> AsyncIterator[bytes]:
    """The notices of one job; ends after its final state."""
    with lab.stream_guard.subscribed(job_id, principal) as subscription:
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        missed = await lab.database.rows(jobs.notices, after=last_event_id or 0, limit=REPLAY_LIMIT, job_id=job_id)
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


async def of_all(lab: Lab, principal: Principal, last_event_id: int | None) -> AsyncIterator[bytes]:
    """The notices of every job that the principal may see."""
    with lab.stream_guard.subscribed(None, principal) as subscription:
        latest = await lab.database.scalar(jobs.latest_event)
        if last_event_id is not None:
            yield b"".join(map(_encoded, await _missed(lab, principal, last_event_id)))
        yield format_sse_event(event="ready", data_str="{}", id=str(latest), retry=RETRY_MILLISECONDS)
        while (notices := await subscription.take(KEEP_ALIVE_SECONDS)) is not None:
            fresh = await _seen_by(lab, principal, notices)
            if fresh or not notices:
                yield b"".join(map(_encoded, fresh)) or KEEPALIVE_COMMENT
                await asyncio.sleep(PAUSE_SECONDS)


async def is_over(lab: Lab, job_id: UUID, state: JobState, last_event_id: int | None) -> bool:
    """Whether a stream of the job would have nothing to say, ever again, to who has seen `last_event_id`."""
    if state not in FINAL_STATES or last_event_id is None:
        return False
    latest: int = await lab.database.scalar(jobs.latest_event, job_id=job_id)
    return last_event_id >= latest


async def _missed(lab: Lab, principal: Principal, last_event_id: int) -> Sequence[Notice]:
    owner_id = None if principal.is_staff else principal.id
    after = max(0, last_event_id - OVERLAP)
    rows = await lab.database.rows(jobs.notices, after=after, limit=REPLAY_LIMIT, owner_id=owner_id)
    return [Resync()] if len(rows) == REPLAY_LIMIT else _replayed(rows)


async def _seen_by(lab: Lab, principal: Principal, notices: Sequence[Notice]) -> list[Notice]:
    if principal.is_staff:
        return list(notices)
    owners = await lab.owners.of({n.job_id for n in notices if not isinstance(n, Resync)})
    return [n for n in notices if isinstance(n, Resync) or owners.get(n.job_id) == principal.id]


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
