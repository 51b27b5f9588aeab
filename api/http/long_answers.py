"""Answers that are all there before they are sent: long ones go out in pieces, and what is not read yet is bounded.

Given to the server at once, an answer waits in its memory for as long as its reader takes. One user could fill that
memory with many answers that are read a few bytes at a time.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Response
from starlette.types import Receive, Scope, Send

from api.http.problems import TooManyRequests
from api.limits.sign_ins import network_of

PIECE_BYTES = 65_536
"""Sent when the reader took most of the piece before."""
MAX_UNREAD_BYTES = 64 * 2**20
RETRY_AFTER_SECONDS = 5


class Unread:
    """Bytes of long answers that are being sent, of each user and of each address without one."""

    def __init__(self, max_bytes: int = MAX_UNREAD_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes: Counter[str] = Counter()

    def check(self, who: str, size_bytes: int = 0) -> None:
        """Whether more bytes may wait for this reader; a first answer always may. Raises `TooManyRequests`."""
        held = self._bytes[who]
        if held and held + size_bytes > self._max_bytes:
            raise TooManyRequests(
                f"{held} bytes of responses to you are unread; the limit is {self._max_bytes} bytes: read them "
                "before you send more requests",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )

    @contextmanager
    def held(self, who: str, size_bytes: int) -> Iterator[None]:
        """For as long as an answer is being sent."""
        self._bytes[who] += size_bytes
        try:
            yield
        finally:
            self._bytes[who] -= size_bytes
            if not self._bytes[who]:
                del self._bytes[who]


class Whole(Response):
    """A response whose body is in memory, in pieces where it is long."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self.body) <= PIECE_BYTES:
            await super().__call__(scope, receive, send)
            return
        who, unread = _who(scope), scope["app"].state.app.unread
        if scope["method"] == "GET":
            # What changed something has happened, and its answer must say so.
            unread.check(who, len(self.body))
        with unread.held(who, len(self.body)):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            body = memoryview(self.body)
            for start in range(0, len(body), PIECE_BYTES):
                piece = bytes(body[start : start + PIECE_BYTES])
                more = start + PIECE_BYTES < len(body)
                await send({"type": "http.response.body", "body": piece, "more_body": more})


def _who(scope: Scope) -> str:
    principal = scope["state"].get("principal")
    if principal is not None:
        return str(principal.id)
    client = scope.get("client")
    return network_of(str(client[0])) if client else "unknown"
