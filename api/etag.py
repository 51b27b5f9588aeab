"""Entity tags: what a client has is compared with what it would get."""

from hashlib import blake2b
from uuid import UUID

from fastapi import Request, Response

PRIVATE = "private, no-cache"
"""A client may keep the answer, for itself, and asks before using it."""
VARY = "Authorization, Cookie"
"""Whose answer it is."""


def of_job(job_id: UUID, version: int, *more: str) -> str:
    """The tag of one version of a job and of what else is shown with it; a tag of another job never equals it."""
    return f'"{".".join((job_id.hex, str(version), *more))}"'


def of_body(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def matches(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names the tag (weak comparison, as reads need it)."""
    if header is None:
        return False
    given = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in given or etag.removeprefix("W/") in given


def answer(request: Request, body: bytes, etag: str) -> Response:
    """The body with its tag, or 304."""
    headers = {"ETag": etag, "Cache-Control": PRIVATE, "Vary": VARY}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
