"""What runs printed and kept: logs, and artifacts out of the object store."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from obstore.store import ObjectStore

from api.answers import service as answers
from api.auth.principal import Principal
from api.context import App
from api.http import etag
from api.http.problems import AnswerCutOff, ArtifactNotFound, RangeNotSatisfiable, shortened
from api.jobs.service import visible
from api.sql.database import Row
from experiments.studies.report_job import SLUG as REPORT
from gpulab.schemas import ArtifactPage, ArtifactRead, LogRead
from gpulab.states import FINAL_STATES, JobState
from models.statements import series

PIECES = 256
CHUNK_BYTES = 256 * 1024
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Accept-Ranges": "bytes",
    "Cache-Control": etag.PRIVATE,
    "Vary": etag.VARY,
}
"""A file of a run is a stranger's: a browser saves it and never runs it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `end`, the latter excluded."""

    start: int
    end: int


async def logs(app: App, principal: Principal, job_id: UUID, offset: int, limit: int) -> LogRead:
    """At most `limit` bytes from `offset`; a negative offset counts from the end."""
    job = await visible(app, principal, job_id)
    if job.experiment == REPORT:
        await _check_answers(app, principal, job_id, job.experiment, "its output")
    end = await app.database.scalar(series.log_end, job_id=job_id) or 0
    offset = max(0, end + offset) if offset < 0 else offset
    rows = (
        await app.database.rows(series.log_chunks, job_id=job_id, offset=offset, limit=PIECES) if offset < end else []
    )
    start, data = _cut(rows, offset, limit)
    final = JobState(job.state) in FINAL_STATES
    at_end = start + len(data) >= end
    if not (final and at_end):
        data = _whole_characters(data)
    return LogRead(
        offset=start,
        next_offset=start + len(data),
        # PostgreSQL keeps the bytes as they are; text for a reader has no NUL.
        text=data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}"),
        complete=final and at_end,
    )


def _cut(rows: Any, offset: int, limit: int) -> tuple[int, bytes]:
    """The bytes from `offset` on out of consecutive pieces; where that byte was not kept, from the next one kept."""
    data = b""
    start = offset
    for row in rows:
        piece = bytes(row.data)
        if row.start + len(piece) <= offset:
            continue
        if not data:
            start = max(offset, row.start)
            piece = piece[start - row.start :]
        elif row.start != start + len(data):
            break
        data += piece
        if len(data) >= limit:
            break
    return start, data[:limit]


def _whole_characters(data: bytes) -> bytes:
    """Without the beginning of a UTF-8 character whose rest is still to come."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back and len(data) > back else data
        if byte < 0x80:
            break
    return data


async def artifacts(app: App, principal: Principal, job_id: UUID) -> ArtifactPage:
    job = await visible(app, principal, job_id)
    rows = await app.database.rows(series.artifacts, job_id=job_id)
    if await answers.held_of_job(app, principal, job_id, job.experiment) is not None:
        rows = [row for row in rows if not shows_answers(job.experiment, row)]
    return ArtifactPage(
        items=[
            ArtifactRead(
                name=row.name,
                size_bytes=row.size_bytes,
                sha256=row.sha256,
                media_type=row.media_type,
                attempt=row.attempt,
                created_at=row.created_at,
            )
            for row in rows
        ]
    )


async def download(app: App, principal: Principal, request: Request, job_id: UUID, name: str) -> Response:
    """The file's bytes, or the range that was asked for. The name is looked up in the table and is never a path."""
    job = await visible(app, principal, job_id)
    row = None if "\0" in name else await app.database.row(series.artifact, job_id=job_id, name=name)
    if row is None:
        raise ArtifactNotFound(f"job {job_id} has no artifact called {shortened(name)!r}")
    if shows_answers(job.experiment, row):
        await _check_answers(app, principal, job_id, job.experiment, row.name)
    tag = f'"{row.sha256}"'
    headers = {**SAFE_HEADERS, "ETag": tag, "Content-Disposition": disposition(row.name)}
    if etag.matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    span = asked_span(request.headers.get("range"), request.headers.get("if-range"), tag, row.size_bytes)
    if span is None:
        status, span = 200, Span(0, row.size_bytes)
    else:
        status = 206
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{row.size_bytes}"
    headers["Content-Length"] = str(span.end - span.start)
    content = _permitted(app, principal, job_id, await _open(app.store, row, span))
    return StreamingResponse(content, status, headers, media_type=row.media_type)


def shows_answers(experiment: str, artifact: Row) -> bool:
    """All of a report, and the figures and tables of other runs. Weights and checkpoints show none."""
    return experiment == REPORT or artifact.media_type.startswith(("image/", "text/", "application/json"))


async def _check_answers(app: App, principal: Principal, job_id: UUID, experiment: str, what: str) -> None:
    """Raises `AnswersHeldBack`."""
    if (held := await answers.held_of_job(app, principal, job_id, experiment)) is not None:
        answers.refuse(app, what, held)


async def _permitted(
    app: App, principal: Principal, job_id: UUID, content: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The bytes, for as long as the reader may read them. Raises `AnswerCutOff`."""
    with app.stream_guard.permitted(job_id, principal) as permit:
        async for chunk in content:
            if permit.closed:
                raise AnswerCutOff("the reader is no longer allowed to read the file")
            yield chunk


def asked_span(header: str | None, if_range: str | None, tag: str, size: int) -> Span | None:
    """The one range a request asks for, or None for the whole: also where it asks in a way we need not follow.

    Raises:
        RangeNotSatisfiable: it begins past the end.
    """
    match = RANGE.fullmatch(header.replace(" ", "")) if header is not None and if_range in (None, tag) else None
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        span = Span(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        span = Span(int(first), min(int(last) + 1, size) if last else size)
    if span.start >= size or span.start >= span.end:
        raise RangeNotSatisfiable(f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return span


async def _open(store: ObjectStore, row: Row, span: Span) -> AsyncIterator[bytes]:
    if span.start == span.end:
        return _nothing()
    try:
        found = await store.get_async(row.key, options={"range": (span.start, span.end)})
    except FileNotFoundError:
        log.warning("artifact.bytes_missing", key=row.key)
        raise ArtifactNotFound(f"the bytes of {row.name!r} are no longer stored") from None
    return _chunks(found.stream(min_chunk_size=CHUNK_BYTES))


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def _chunks(stream: Any) -> AsyncIterator[bytes]:
    async for chunk in stream:
        yield bytes(chunk)


def disposition(name: str) -> str:
    """To save it under its name, which travels encoded where it is not plain (RFC 6266)."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "file"
    whole = "" if safe == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{safe[:200]}"{whole}'
