"""Programs: sent, listed, read, compared. Who may see a run of one may read it."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson
import structlog
from fastapi import Request, Response
from obstore.exceptions import BaseError as StoreError
from psycopg.types.json import Jsonb

from api.auth.principal import Principal
from api.context import App
from api.http import etag
from api.http.cursors import paged
from api.http.long_answers import Whole
from api.http.problems import ProgramFileNotFound, ProgramNotFound, Unavailable, shortened
from api.jobs.allowances import check_quota
from api.programs import differences, statements, uploads
from api.programs.access import find, named
from api.results.files import SAFE_HEADERS, disposition
from api.sql.database import Row
from gpulab.program_files import Program, ProgramLimits, tar_with_offsets
from gpulab.schemas.programs import (
    ProgramDifferenceRead,
    ProgramFileRead,
    ProgramLimitsRead,
    ProgramPage,
    ProgramRead,
    ProgramSummary,
)
from models.tables.program import store_key

log = structlog.get_logger()


async def upload(app: App, principal: Principal, request: Request) -> tuple[ProgramRead, bool]:
    """The program that the form holds, and whether the user sent it for the first time.

    Raises what `uploads.received` does, `InvalidProgram`, `ArtifactQuotaReached`, `Unavailable`.
    """
    limits = limits_of(app)
    async with app.body_turns.of(request), uploads.received(request, limits) as sent:
        program, tar, offsets = await app.heavy.run(_read, sent, limits)
    before = await app.database.row(statements.upload, user_id=principal.id, sha256=program.sha256)
    if before is None:
        await check_quota(app, principal, more_bytes=program.size_bytes)
    await _put(app, program.sha256, tar)
    described = {**sent.fields.model_dump(), "user_id": principal.id, "sha256": program.sha256}
    await app.database.execute(statements.save, program=_row(program, offsets), upload=described)
    # A sweep that took the old one for unused may have deleted the files meanwhile, and no later one will.
    await _put(app, program.sha256, tar)
    return await get(app, principal, program.sha256), before is None


async def page(app: App, principal: Principal, cursor: str | None, limit: int) -> ProgramPage:
    """One page of what the user sent, newest first. Raises `InvalidCursor`."""

    def fetch(before: UUID | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(statements.page, user_id=principal.id, before=before, limit=most)

    rows, next_cursor = await paged("programs", {}, cursor, limit, fetch)
    return ProgramPage(
        items=[_summary(row) for row in rows],
        next_cursor=next_cursor,
        limits=ProgramLimitsRead(**asdict(limits_of(app))),
    )


async def get(app: App, principal: Principal, sha256: str) -> ProgramRead:
    """Raises `ProgramNotFound`."""
    row = await find(app, principal, sha256)
    own = await app.database.row(statements.upload, user_id=principal.id, sha256=sha256)
    return ProgramRead(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        file_count=row.file_count,
        files=[
            ProgramFileRead(path=entry["path"], size_bytes=entry["size_bytes"], sha256=entry["sha256"])
            for entry in row.manifest
        ],
        created_at=row.created_at,
        upload=None if own is None else _summary(own),
    )


async def file(app: App, principal: Principal, request: Request, sha256: str, path: str) -> Response:
    """One file. The path is looked up in the manifest, and never one of a disk."""
    row = await find(app, principal, sha256)
    entry = next((entry for entry in row.manifest if entry["path"] == path), None)
    if entry is None:
        raise ProgramFileNotFound(f"the program has no file {shortened(path)!r}; it has {named(row.manifest)}")
    tag = f'"{entry["sha256"]}"'
    headers = _headers(tag, path.rpartition("/")[2])
    if etag.matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    data = await _bytes(app, sha256, entry["offset"], entry["size_bytes"])
    return Whole(data, 200, headers, media_type=_media_type(data))


async def archive(app: App, principal: Principal, request: Request, sha256: str) -> Response:
    """Every file, as a tar."""
    await find(app, principal, sha256)
    tag = f'"{sha256}"'
    headers = _headers(tag, f"program-{sha256[:12]}.tar")
    if etag.matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Whole(await _tar(app, sha256), 200, headers, media_type="application/octet-stream")


async def difference(app: App, principal: Principal, sha256: str, other_sha256: str) -> ProgramDifferenceRead:
    """What differs from the first program to the other. Raises `ProgramNotFound`."""
    ours, other = await find(app, principal, sha256), await find(app, principal, other_sha256)
    first, _, differing = differences.paths(ours.manifest, other.manifest)
    files = []
    if differing:
        tars = await _tar(app, sha256), await _tar(app, other_sha256)
        files = await app.heavy.run(differences.differences, ours.manifest, other.manifest, *tars)
    return ProgramDifferenceRead(
        sha256=sha256,
        other_sha256=other_sha256,
        same=not differing,
        files=files,
        unchanged=len(first.keys() - set(differing)),
    )


def limits_of(app: App) -> ProgramLimits:
    return ProgramLimits(app.settings.max_program_bytes, app.settings.max_program_files)


def _read(sent: uploads.Received, limits: ProgramLimits) -> tuple[Program, bytes, dict[str, int]]:
    program = uploads.program_of(sent, limits)
    return program, *tar_with_offsets(program)


def _row(program: Program, offsets: Mapping[str, int]) -> dict[str, Any]:
    manifest = Jsonb([{**asdict(file), "offset": offsets[file.path]} for file in program.files], dumps=orjson.dumps)
    return {
        "sha256": program.sha256,
        "size_bytes": program.size_bytes,
        "file_count": len(program.files),
        "manifest": manifest,
    }


async def _put(app: App, sha256: str, tar: bytes) -> None:
    """Store the files unless they are there. Raises `Unavailable`."""
    key = store_key(sha256)
    try:
        try:
            if (await app.store.head_async(key))["size"] == len(tar):
                return
        except FileNotFoundError:
            pass
        await app.store.put_async(key, tar)
    except (StoreError, OSError) as error:
        log.warning("program.not_stored", key=key, reason=str(error).partition("\n")[0])
        raise Unavailable("the artifact store does not accept files now; try again later") from None


async def _tar(app: App, sha256: str) -> bytes:
    key = store_key(sha256)
    try:
        return bytes(await (await app.store.get_async(key)).bytes_async())
    except FileNotFoundError:
        raise _gone(key, sha256) from None


async def _bytes(app: App, sha256: str, offset: int, size: int) -> bytes:
    if not size:
        return b""
    key = store_key(sha256)
    try:
        return bytes(await app.store.get_range_async(key, start=offset, length=size))
    except FileNotFoundError:
        raise _gone(key, sha256) from None


def _gone(key: str, sha256: str) -> ProgramNotFound:
    log.warning("program.bytes_missing", key=key)
    return ProgramNotFound(f"the files of the program {sha256} are no longer stored")


def _summary(row: Row) -> ProgramSummary:
    return ProgramSummary(**{name: value for name, value in row._asdict().items() if name != "id"})


def _headers(tag: str, name: str) -> dict[str, str]:
    return {**SAFE_HEADERS, "ETag": tag, "Content-Disposition": disposition(name)}


def _media_type(data: bytes) -> str:
    """Text or bytes, whatever its name says: a page or an image of a stranger could act."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/octet-stream" if b"\0" in data else "text/plain; charset=utf-8"
