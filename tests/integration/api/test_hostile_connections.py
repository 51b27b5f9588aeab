"""Connections that send too much, too slowly or too little: each ends soon, and says why where it can."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api.__main__ import Server
from api.http import protocol as http_protocol
from gpulab.schemas import Problem
from models.settings import ApiSettings
from tests.integration.api.conftest import serving
from tests.integration.api.seeds import SeededUser, Seeds

TIMEOUT_SECONDS = 0.4
GIVE_UP_SECONDS = 20.0


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"client_timeout_seconds": TIMEOUT_SECONDS})


@pytest.fixture
async def server(settings: ApiSettings) -> AsyncIterator[tuple[Server, str]]:
    async with serving(settings) as made:
        yield made


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send; a server that has closed already reads no more."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def answer(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def trickle(self, data: bytes, pause_seconds: float) -> bool:
        """Send `data` again and again. True once the server has closed."""
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while not self.reader.at_eof():
                    self.writer.write(data)
                    await self.writer.drain()
                    try:
                        async with asyncio.timeout(pause_seconds):
                            await self.reader.read()
                    except TimeoutError:
                        continue
        except ConnectionError:
            return True
        return self.reader.at_eof()


@pytest.fixture
async def connection(server: tuple[Server, str]) -> AsyncIterator[Connection]:
    url = httpx.URL(server[1])
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=2**22)
    yield Connection(reader, writer)
    writer.close()


async def logged(lines: list[MutableMapping[str, Any]], **fields: str) -> None:
    """Return once a line with these fields is logged."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while not any(fields.items() <= line.items() for line in lines):  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)


def refusal(answer: bytes) -> Problem:
    """The one problem that a connection was answered with."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), answer[:300]
    problem = Problem.model_validate_json(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem.status)
    return problem


TOO_LARGE: dict[str, tuple[bytes, int]] = {
    "one endless header": (b"GET /healthz HTTP/1.1\r\na: " + b"x" * 400_000, 431),
    "one endless name": (b"GET /healthz HTTP/1.1\r\n" + b"x" * 400_000, 431),
    "many headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
    "long headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + (b"a: " + b"b" * 1000 + b"\r\n") * 90 + b"\r\n", 431),
    "long address": (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "endless address": (b"GET /" + b"x" * 400_000, 414),
    "long query": (b"GET /healthz?" + b"a=b&" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "no HTTP": (b"hello\r\n\r\n", 400),
    "no HTTP, bytes": (bytes(range(256)), 400),
    "address of bytes": (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    "a proxy's request": (b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "length twice": (b"POST /v1/session HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "tiny pieces": (
        b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\n \r\n" * 3_000,
        400,
    ),
}


@pytest.mark.parametrize("case", TOO_LARGE)
async def test_what_cannot_be_a_request_is_refused_at_once(connection: Connection, case: str) -> None:
    data, status = TOO_LARGE[case]
    await connection.send(data)
    assert refusal(await connection.answer()).status == status


async def test_headers_of_ordinary_size_pass(connection: Connection) -> None:
    long = b"a: " + b"b" * 8_000 + b"\r\n"
    await connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + long * 5 + b"\r\n")
    assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")


async def test_trailers_without_end_are_refused(connection: Connection) -> None:
    head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    await connection.send(head + b"a: b\r\n" * 200_000)
    assert await connection.answer()


async def test_requests_ahead_of_their_answers_have_a_bound(connection: Connection) -> None:
    await connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
    assert (await connection.answer()).count(b"HTTP/1.1 200") <= http_protocol.MAX_PIPELINED + 2


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["first byte", "headers", "body", "body that nobody reads"],
)
async def test_half_a_request_is_not_waited_for(connection: Connection, data: bytes) -> None:
    await connection.send(data)
    answer = await connection.answer()
    assert b"request-timeout" in answer
    assert answer.count(b"HTTP/1.1 ") == 1 + data.startswith(b"POST /nowhere")


async def test_connection_without_a_request_is_closed(connection: Connection) -> None:
    assert await connection.answer() == b""


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /healthz HTTP/1.1\r\n", b"a: b\r\n"),
        (b"POST /v1/session HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n", b" "),
        (b"POST /nowhere HTTP/1.1\r\nContent-Length: 4000\r\n\r\n", b" "),
    ],
    ids=["headers", "body", "body that nobody reads"],
)
async def test_a_byte_now_and_then_does_not_keep_a_connection(
    connection: Connection, begin: bytes, more: bytes
) -> None:
    await connection.send(begin)
    assert await connection.trickle(more, TIMEOUT_SECONDS / 8)


async def test_who_reads_nothing_of_a_long_answer_is_let_go(
    server: tuple[Server, str], connection: Connection, admin: SeededUser, seeds: Seeds
) -> None:
    job_id = seeds.job(admin)
    store = server[0].app.state.app.store
    content = b"x" * 20_000_000
    await store.put_async("big", content)
    seeds.artifact(job_id, "big.bin", "big", content, "digest")
    head = f"GET /v1/jobs/{job_id}/artifacts/big.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.token}\r\n\r\n"
    with capture_logs() as lines:
        await connection.send(head.encode())
        await logged(lines, event="connection.not_read")
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while server[0].server_state.connections:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)


async def test_body_that_nobody_reads_has_a_bound(connection: Connection) -> None:
    await connection.send(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
    assert await connection.trickle(b" " * 300_000, 0.001)


async def test_client_that_leaves_while_sending_is_no_fault_of_the_lab(
    server: tuple[Server, str], connection: Connection, admin: SeededUser
) -> None:
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.token}\r\n"
    with capture_logs() as lines:
        await connection.send(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        connection.writer.transport.abort()
        await logged(lines, path="/v1/jobs")
        async with httpx.AsyncClient(base_url=server[1]) as client:
            metrics = (await client.get("/metrics")).text
    assert [line["event"] for line in lines if line.get("path") == "/v1/jobs"] == ["request.served"]
    assert 'status="499"' in metrics
    assert 'status="500"' not in metrics


async def test_head_answers_as_get_without_a_body(remote: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    job_id = seeds.job(admin)
    for path in ("/v1/me", "/v1/jobs", f"/v1/jobs/{job_id}", "/healthz", "/readyz", "/openapi.json", "/v1/nowhere"):
        found, head = await remote.get(path), await remote.head(path)
        assert (head.status_code, head.content) == (found.status_code, b""), path
        for name in ("content-type", "etag", "content-length"):
            assert head.headers.get(name) == found.headers.get(name), (path, name)
    unchanged = {"If-None-Match": (await remote.head("/v1/me")).headers["etag"]}
    assert (await remote.head("/v1/me", headers=unchanged)).status_code == 304


async def test_head_of_a_stream_ends(remote: httpx.AsyncClient, server: tuple[Server, str]) -> None:
    head = await remote.head("/v1/stream")
    assert (head.status_code, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while server[0].server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)


async def test_methods_that_strangers_invent_leave_no_mark(remote: httpx.AsyncClient) -> None:
    for method in ("PROPFIND", "BREW", "MKCOL", "TRACE", "QUERY"):
        await remote.request(method, "/v1/jobs")
    text = (await remote.get("/metrics")).text
    assert "PROPFIND" not in text
    assert 'method="other"' in text
