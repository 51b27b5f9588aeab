"""Calls that last: waiting until something is final, following a log, listening to changes."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel

from gpulab.client.events import Change, EventParser
from gpulab.client.transport.answers import TRY_LATER, accepted, retry_after_seconds
from gpulab.client.transport.http import Disconnected, Http, Snapshot, path_of
from gpulab.client.transport.pauses import Backoff, pause
from gpulab.errors import LabUnreachable, WaitTimeout
from gpulab.schemas import LogRead

M = TypeVar("M", bound=BaseModel)

TIMEOUT_SECONDS = 120.0
"""How long waiting and listening keep trying while the lab is away, such as during a restart."""
LONG_POLL_SECONDS = 20.0
LOG_PIECE_BYTES = 2**18
PAUSE_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 60.0
"""A stream that is silent for this long, keep-alives included, counts as dead."""


def hold(
    look: Callable[[str | None, float, Backoff], Snapshot[M] | None],
    final: Callable[[M], bool],
    timeout_seconds: float | None,
    patience_seconds: float,
    *,
    what: str,
    max_rest_seconds: float = 0.0,
) -> Iterator[Snapshot[M]]:
    """Long-poll `look` until it is `final`; yields each version. A restart of the API costs only latency.

    The pause between two answers grows to `max_rest_seconds`; it is a tenth of the time waited so far.
    """
    began_at = time.monotonic()
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    backoff = Backoff(patience_seconds)
    etag: str | None = None
    hold_seconds = 0.0
    while True:
        asked_at = time.monotonic()
        fetched = look(etag, hold_seconds, backoff)
        if fetched is not None:
            etag = fetched[1]
            yield fetched
            if final(fetched[0]):
                return
        if fetched is not None and max_rest_seconds:
            pause(min(max_rest_seconds, (time.monotonic() - began_at) / 10))
        left = LONG_POLL_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"{what} is not final after {timeout_seconds:g} s; it continues in the lab")
        held = fetched is None and time.monotonic() - asked_at >= hold_seconds / 2
        # An answer that is neither new nor held back must not start a tight loop.
        if not held and (fetched is None or etag is None):
            pause(min(left, PAUSE_SECONDS))
        hold_seconds = min(left, LONG_POLL_SECONDS)


def read_logs(http: Http, job_id: UUID, follow: bool, offset: int) -> Iterator[str]:
    """Pieces of text from byte `offset` on; with `follow` until the job is final and its log is read to the end."""
    backoff = Backoff(TIMEOUT_SECONDS)
    while True:
        query = {"offset": offset, "limit": LOG_PIECE_BYTES}
        piece = http.parse(LogRead, http.send("GET", path_of("jobs", job_id, "logs"), query=query, backoff=backoff))
        if piece.text:
            yield piece.text
        moved, offset = piece.next_offset > offset, piece.next_offset
        if piece.complete or not (moved or follow):
            return
        if not moved:
            pause(PAUSE_SECONDS)


def listen(http: Http, path: str, last_event_id: str | None, patience_seconds: float) -> Iterator[Change]:
    """Changes from an event stream, joined again where it broke; ends when the lab answers 204."""
    parser = EventParser(last_event_id or "")
    backoff = Backoff(patience_seconds)
    while True:
        at_least_seconds = 0.0
        try:
            with http.stream(path, _stream_headers(parser.last_event_id), KEEP_ALIVE_SECONDS) as response:
                if response.status_code == 204:
                    return
                reason, at_least_seconds = f"HTTP {response.status_code}", retry_after_seconds(response)
                if response.status_code not in TRY_LATER:
                    accepted(response, http.lab)
                    reason = "the stream ended"
                    yield from _changes(response, parser, backoff)
        except Disconnected as gone:
            reason = str(gone)
        delay = backoff.next_delay(max(parser.retry_seconds, at_least_seconds))
        if delay is None:
            raise LabUnreachable(f"the stream broke and could not reconnect: {reason}")
        parser.restart()
        pause(delay)


def _changes(response: httpx.Response, parser: EventParser, backoff: Backoff) -> Iterator[Change]:
    for chunk in response.iter_bytes():
        backoff.reset()
        yield from parser.feed(chunk)


def _stream_headers(last_event_id: str) -> dict[str, str]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    return headers | ({"Last-Event-ID": last_event_id} if last_event_id else {})
