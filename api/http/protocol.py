"""What a connection may cost before the application sees a request: bytes, pieces and time, each bounded.

Uvicorn bounds none of them with httptools: a header without an end is kept in memory, a client that sends a byte a
minute keeps its connection, and so does one that never reads its answer.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.problems import STATUS_SLUGS
from gpulab.schemas import Problem

MAX_HEAD_BYTES = 65_536
"""Of the address and all headers of a request, and of trailers behind a body."""
MAX_URL_BYTES = 16_384
MAX_HEADERS = 100
MAX_PIPELINED = 10
"""Requests of one connection that wait for the answer to an earlier one."""
MAX_DISCARDED_BYTES = 1_048_576
"""Of the body of a refused request, which is not read; then the connection is closed."""
LINGER_SECONDS = 2.0
"""For a client to read why it was refused."""
MAX_TINY_PIECES = 1000
TINY_BYTES = 64
"""A body in more pieces than `MAX_TINY_PIECES`, which on average are shorter than this, only keeps us busy."""
MIN_BYTES_PER_SECOND = 1000
"""Of a body or an answer that takes longer than the timeout."""

log = structlog.get_logger()


class _Refused(Exception):  # noqa: N818 - it states the fact
    """Raised in a callback of the parser, which then stops."""


class GuardedProtocol(HttpToolsProtocol):
    timeout_seconds: ClassVar[float] = 30.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._status, self._why = 400, "this is not a valid HTTP request"
        self._client_timer: asyncio.TimerHandle | None = None
        """Runs while the client has something to send."""
        self._reader_timer: asyncio.TimerHandle | None = None
        """Runs while the client has something to read."""
        self._unparsed_bytes = 0
        self._begun = False
        self._lingering = False
        """Whether the last answer was sent, and what still comes is not read any more."""
        self._forget_message()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._await_client()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._client_timer, self._reader_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self._lingering:
            self._discard(data)
            return
        self._begun = True
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES and not self.transport.is_closing() and not self._lingering:
            self._close(431, f"at most {MAX_HEAD_BYTES} bytes of headers are accepted")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says more
        """Uvicorn calls this for whatever stopped the parser."""
        self._close(self._status, self._why)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._forget_message()
        self._await_client()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._unparsed_bytes = 0
        if len(self.url) > MAX_URL_BYTES:
            self._refuse(414, f"at most {MAX_URL_BYTES} bytes of address are accepted")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unparsed_bytes = 0
        self._headers += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes + len(self.url) > MAX_HEAD_BYTES:
            self._refuse(431, f"at most {MAX_HEAD_BYTES} bytes of headers are accepted")
        if self._headers > MAX_HEADERS:
            self._refuse(431, f"at most {MAX_HEADERS} headers are accepted")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed_bytes = 0
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(400, f"at most {MAX_PIPELINED} requests may wait behind another")
        super().on_headers_complete()
        self._await_client()

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        self._pieces += 1
        self._body_bytes += len(body)
        if self._pieces > MAX_TINY_PIECES + self._body_bytes / TINY_BYTES:
            self._refuse(400, "the body arrives in too many small pieces")
        if self.cycle.response_complete:
            self._discard(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed_bytes = 0
        if self._client_timer is not None:
            self._client_timer.cancel()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_later()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
        super().resume_writing()

    def _forget_message(self) -> None:
        self._headers = self._head_bytes = self._pieces = 0
        self._body_bytes = self._body_bytes_before = self._discarded_bytes = 0

    def _discard(self, data: bytes) -> None:
        self._discarded_bytes += len(data)
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.close()

    def _refuse(self, status: int, why: str) -> None:
        self._status, self._why = status, why
        raise _Refused(why)

    def _close(self, status: int, why: str) -> None:
        """Say why where no other answer is under way, and close."""
        log.info("connection.refused", status=status, reason=why, client=self.client and self.client[0])
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()
            self._abort_later()
            return
        if self.cycle is not None:
            # The application hears that its client has left, and answers nothing.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._lingering = True
        self.transport.write(_answer(status, why))
        # Closed while the client still sends, the connection would be reset and the answer lost.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(min(LINGER_SECONDS, self.timeout_seconds), self.transport.abort)

    def _await_client(self) -> None:
        if self._client_timer is not None:
            self._client_timer.cancel()
        self._client_timer = self.loop.call_later(self.timeout_seconds, self._client_is_late)

    def _client_is_late(self) -> None:
        if self._lingering:
            return
        received = self._body_bytes - self._body_bytes_before
        if received >= self.timeout_seconds * MIN_BYTES_PER_SECOND:
            self._body_bytes_before = self._body_bytes
            self._await_client()
        elif self._begun:
            self._close(408, f"the request was not complete within {self.timeout_seconds:g} s")
        else:
            # A browser may connect ahead of a request that never comes.
            self.transport.close()

    def _await_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._reader_timer = self.loop.call_later(self.timeout_seconds, self._reader_is_late, left)

    def _reader_is_late(self, left_before: int) -> None:
        read = left_before - self.transport.get_write_buffer_size()
        if read >= self.timeout_seconds * MIN_BYTES_PER_SECOND:
            self._await_reader()
            return
        log.info("connection.not_read", client=self.client and self.client[0])
        self.transport.abort()

    def _abort_later(self) -> None:
        """A closed connection stays until its last byte is read: not for longer than the timeout."""
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self.timeout_seconds, self.transport.abort)


def guarded(timeout_seconds: float) -> type[GuardedProtocol]:
    """The protocol with its own timeout, as uvicorn's `http` takes it."""

    class Timed(GuardedProtocol):
        pass

    Timed.timeout_seconds = timeout_seconds
    return Timed


def _answer(status: int, why: str) -> bytes:
    title = HTTPStatus(status).phrase
    problem = Problem(type=f"/problems/{STATUS_SLUGS[status]}", title=title, status=status, detail=why)
    body = problem.model_dump_json(exclude_none=True)
    head = f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return STATUS_LINE[status] + head.encode() + body.encode()
