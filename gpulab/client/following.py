"""Operations that last: waiting for a job, following its log, listening to changes."""

import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from gpulab.client.events import EventParser
from gpulab.client.operations import Operations, Snapshot, job_path, parsed
from gpulab.client.steps import (
    TRY_LATER,
    Backoff,
    Disconnected,
    Emit,
    Open,
    Read,
    Request,
    Response,
    Sleep,
    Steps,
    accepted,
    call,
    retry_after_seconds,
)
from gpulab.errors import LabUnreachable, WaitTimeout
from gpulab.schemas import JobRead, LogRead
from gpulab.states import FINAL_STATES

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
"""How long waiting and listening put up with a lab that is away, such as during a restart."""
LONG_POLL_SECONDS = 20.0
LOG_PIECE_BYTES = 2**18
PAUSE_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 60.0
"""A stream silent for this long, keep-alives included, is taken for dead."""


def wait_until_final(job_id: UUID, timeout_seconds: float | None, patience_seconds: float) -> Steps[None]:
    """Emits a `Snapshot` a version until the job is final."""
    operations = Operations(patience_seconds)

    def look(etag: str | None, hold_seconds: float, backoff: Backoff) -> Steps[Snapshot | None]:
        return operations.fetch_job(job_id, etag, hold_seconds, backoff)

    def final(job: JobRead) -> bool:
        return job.state in FINAL_STATES

    yield from hold(look, final, timeout_seconds, patience_seconds, what=f"job {job_id}")


def hold(
    look: Callable[[str | None, float, Backoff], Steps[tuple[T, str | None] | None]],
    final: Callable[[T], bool],
    timeout_seconds: float | None,
    patience_seconds: float,
    *,
    what: str,
    rest_seconds: float = 0.0,
) -> Steps[None]:
    """Long-poll `look` until it is `final`; emits each version. A restart of the API costs only latency.

    `rest_seconds` is the longest pause between two answers; it begins with a tenth of the time waited so far.
    """
    began_at = time.monotonic()
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    backoff = Backoff(patience_seconds)
    etag: str | None = None
    hold_seconds = 0.0
    while True:
        asked_at = time.monotonic()
        fetched = yield from look(etag, hold_seconds, backoff)
        if fetched is not None:
            etag = fetched[1]
            yield Emit(fetched)
            if final(fetched[0]):
                return
        if fetched is not None and rest_seconds:
            yield Sleep(min(rest_seconds, (time.monotonic() - began_at) / 10))
        left = LONG_POLL_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"{what} is not final after {timeout_seconds:g} s; it goes on in the lab")
        held = fetched is None and time.monotonic() - asked_at >= hold_seconds / 2
        # An answer that neither is new nor was held back must not start a tight loop.
        if not held and (fetched is None or etag is None):
            yield Sleep(min(left, PAUSE_SECONDS))
        hold_seconds = min(left, LONG_POLL_SECONDS)


def read_logs(job_id: UUID, follow: bool, offset: int, patience_seconds: float) -> Steps[None]:
    """Emits pieces of text from byte `offset` on; with `follow` until the job is final and its log is at its end."""
    backoff = Backoff(patience_seconds)
    while True:
        request = Request("GET", job_path(job_id, "logs"), query={"offset": offset, "limit": LOG_PIECE_BYTES})
        piece = parsed(LogRead, (yield from call(request, backoff)))
        if piece.text:
            yield Emit(piece.text)
        moved, offset = piece.next_offset > offset, piece.next_offset
        if piece.complete or not (moved or follow):
            return
        if not moved:
            yield Sleep(PAUSE_SECONDS)


def listen(path: str, last_event_id: str | None, patience_seconds: float) -> Steps[None]:
    """Emits changes from an event stream, joining it again where it broke; ends when the lab says 204."""
    parser = EventParser(last_event_id or "")
    backoff = Backoff(patience_seconds)
    while True:
        try:
            response: Response = yield Open(_stream_request(path, parser.last_event_id))
            if response.status == 204:
                return
            reason = f"HTTP {response.status}"
            at_least_seconds = max(parser.retry_seconds, retry_after_seconds(response))
            if response.status not in TRY_LATER:
                accepted(response)
                reason = "the stream ended"
                yield from _events(parser, backoff)
        except Disconnected as gone:
            reason, at_least_seconds = str(gone), parser.retry_seconds
        parser.restart()
        delay = backoff.next_delay(at_least_seconds)
        if delay is None:
            raise LabUnreachable(f"the stream broke and could not be joined again: {reason}")
        yield Sleep(delay)


def _events(parser: EventParser, backoff: Backoff) -> Steps[None]:
    while chunk := (yield Read()):
        backoff.reset()
        for change in parser.feed(chunk):
            yield Emit(change)


def _stream_request(path: str, last_event_id: str) -> Request:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    return Request("GET", path, headers=headers, read_timeout_seconds=KEEP_ALIVE_SECONDS)
