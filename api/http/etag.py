"""Entity tags: what a client has is compared with what it would get."""

import asyncio
import gzip
import re
from hashlib import blake2b
from uuid import UUID

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from api.http.long_answers import Whole

PRIVATE = "private, no-cache"
"""A client may keep the answer, for itself, and asks before using it."""
VARY = "Authorization, Cookie"
"""Whose answer it is."""
MIN_BYTES = 2048
"""What fits into a packet or two arrives no sooner when compressed."""
MANY_BYTES = 65_536
"""From this size on, compression runs in a thread: other requests would wait too long for it."""
FAST = 1
"""Of zlib's levels. On lists and series the others save a tenth more at best and take two to four times as long."""
NO_WEIGHT = re.compile(r"q=0(\.0{0,3})?")


class Packed(Whole):
    """JSON, compressed where it is long and its reader can unpack it: a class shares one Wi-Fi.

    Not around the whole application: files have ranges and strong tags, and streams must not wait to be packed.
    """

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not takes("gzip", Headers(scope=scope).get("Accept-Encoding", "")):
            if len(self.body) >= MIN_BYTES:
                self.headers.add_vary_header("Accept-Encoding")
            await super().__call__(scope, receive, send)
        elif len(self.body) >= MANY_BYTES:
            self.body = await asyncio.to_thread(gzip.compress, self.body, FAST)
            self.headers["Content-Encoding"] = "gzip"
            self.headers["Content-Length"] = str(len(self.body))
            self.headers.add_vary_header("Accept-Encoding")
            await super().__call__(scope, receive, send)
        else:
            await GZipMiddleware(super().__call__, MIN_BYTES, FAST)(scope, receive, send)


def takes(encoding: str, accepted: str) -> bool:
    """Whether `Accept-Encoding` names the encoding, and not only to refuse it with a weight of 0."""
    pieces = (part.replace(" ", "").partition(";") for part in accepted.lower().split(","))
    return any(name == encoding and NO_WEIGHT.fullmatch(weight) is None for name, _, weight in pieces)


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


def answer(request: Request, body: bytes, etag: str, media_type: str | None = None) -> Response:
    """The body with its tag, or 304. The tag is weak: it stands for the plain and the compressed bytes alike."""
    headers = {"ETag": f"W/{etag}", "Cache-Control": PRIVATE, "Vary": VARY}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Packed(body, headers=headers, media_type=media_type)
