"""Long polls and event streams, at a real port: what they hear, how they resume, and how they end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from api.__main__ import Server
from gpulab.client.events import Change, EventParser
from gpulab.states import Role
from models import channels
from models.settings import ApiSettings
from tests.integration.api.conftest import serving
from tests.integration.api.seeds import ORDER, SeededUser, Seeds


class Reader:
    """Reads one stream, event by event, each within a deadline."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._parser = EventParser()
        self._chunks = response.aiter_bytes()
        self._ready: list[Change] = []

    async def next(self, *, seconds: float = 15) -> Change:
        async with asyncio.timeout(seconds):
            while not self._ready:
                self._ready = self._parser.feed(await anext(self._chunks))
        return self._ready.pop(0)

    async def until(self, event: str, **data: Any) -> Change:
        """Skip to the first event of that name whose data has these values."""
        for _ in range(1000):
            change = await self.next()
            if change.event == event and all(change.data.get(name) == value for name, value in data.items()):
                return change
        raise AssertionError(f"no {event} came")

    async def ended(self) -> bool:
        async with asyncio.timeout(15):
            async for _ in self._chunks:
                pass
        return True


@asynccontextmanager
async def opened(
    client: httpx.AsyncClient, path: str, last: str | None = None, **headers: str
) -> AsyncIterator[Reader]:
    sent = headers | ({"Last-Event-ID": last} if last else {})
    async with client.stream("GET", path, headers=sent) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Reader(response)


@pytest.fixture
def job_id(seeds: Seeds, admin: SeededUser) -> UUID:
    seeds.node()
    return seeds.job(admin)


async def held(server: Server, count: int) -> None:
    """Return once this number of requests is held."""
    async with asyncio.timeout(15):
        while server.app.state.app.hub.held != count:  # noqa: ASYNC110 - the hub tells nobody
            await asyncio.sleep(0.01)


async def test_held_request_answers_when_the_job_changes(
    server: tuple[Server, str], remote: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    tag = (await remote.get(f"/v1/jobs/{job_id}")).headers["etag"]
    asking = asyncio.create_task(remote.get(f"/v1/jobs/{job_id}?wait=15", headers={"If-None-Match": tag}))
    await held(server[0], 1)
    seeds.lease(job_id)
    started = time.monotonic()
    answer = await asking

    assert (answer.status_code, answer.json()["state"]) == (200, "leased")
    assert time.monotonic() - started < 5


async def test_held_request_sees_changes_that_have_no_event(
    server: tuple[Server, str], remote: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    asking = asyncio.create_task(remote.get(f"/v1/jobs/{job_id}?wait=15"))
    await held(server[0], 1)
    seeds.describe(job_id, progress_fraction=0.5)
    answer = await asking

    assert answer.json()["progress"] == {"fraction": 0.5, "message": ""}


async def test_held_request_answers_304_when_time_is_up(remote: httpx.AsyncClient, job_id: UUID) -> None:
    tag = (await remote.get(f"/v1/jobs/{job_id}")).headers["etag"]
    answer = await remote.get(f"/v1/jobs/{job_id}?wait=0.05", headers={"If-None-Match": tag})

    assert answer.status_code == 304


async def test_request_is_not_held_for_who_is_behind_or_for_a_final_job(
    remote: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    old = (await remote.get(f"/v1/jobs/{job_id}")).headers["etag"]
    seeds.run(job_id)
    async with asyncio.timeout(10):
        assert (await remote.get(f"/v1/jobs/{job_id}?wait=15", headers={"If-None-Match": old})).status_code == 200
        seeds.finish(job_id)
        assert (await remote.get(f"/v1/jobs/{job_id}?wait=15")).json()["state"] == "succeeded"


async def test_held_requests_need_no_connection(
    server: tuple[Server, str], remote: httpx.AsyncClient, seeds: Seeds, job_id: UUID, settings: ApiSettings
) -> None:
    count = 5 * settings.pool_size
    async with httpx.AsyncClient(base_url=server[1], headers=remote.headers, timeout=20) as many:
        asking = [asyncio.create_task(many.get(f"/v1/jobs/{job_id}?wait=15")) for _ in range(count)]
        await held(server[0], count)
        assert (await remote.get("/v1/jobs")).status_code == 200
        seeds.lease(job_id)
        answers = await asyncio.gather(*asking)

    assert {answer.json()["state"] for answer in answers} == {"leased"}


async def test_stream_of_a_job_tells_its_whole_life_and_ends(
    remote: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    async with opened(remote, f"/v1/jobs/{job_id}/stream") as reader:
        first = await reader.next()
        seeds.run(job_id)
        seeds.notify(channels.DATA, str(job_id))
        await reader.until("records", job_id=str(job_id))
        seeds.finish(job_id)
        last = await reader.until("job", state="succeeded")

        assert (first.event, first.data["state"], first.data["version"]) == ("job", "queued", 1)
        assert await reader.ended()
    again = await remote.get(f"/v1/jobs/{job_id}/stream", headers={"Last-Event-ID": last.id})
    assert (again.status_code, again.content) == (204, b"")


async def test_stream_of_a_job_goes_on_after_the_last_event_seen(
    remote: httpx.AsyncClient, seeds: Seeds, job_id: UUID
) -> None:
    async with opened(remote, f"/v1/jobs/{job_id}/stream") as reader:
        first = await reader.next()
    seeds.run(job_id)
    seeds.finish(job_id)
    async with opened(remote, f"/v1/jobs/{job_id}/stream", first.id) as reader:
        states = [(await reader.next()).data["state"] for _ in range(3)]

        assert states == ["leased", "running", "succeeded"]
        assert await reader.ended()


async def test_stream_of_a_final_job_says_so_and_ends(remote: httpx.AsyncClient, seeds: Seeds, job_id: UUID) -> None:
    seeds.run(job_id)
    seeds.finish(job_id)
    async with opened(remote, f"/v1/jobs/{job_id}/stream") as reader:
        assert (await reader.next()).data["state"] == "succeeded"
        assert await reader.ended()


async def test_stream_of_all_jobs_resumes(
    remote: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, job_id: UUID
) -> None:
    async with opened(remote, "/v1/stream") as reader:
        ready = await reader.until("ready")
    missed = seeds.job(admin)
    async with opened(remote, "/v1/stream", ready.id) as reader:
        assert (await reader.until("job", job_id=str(missed))).data["state"] == "queued"
        await reader.until("ready")
        live = seeds.job(admin)
        await reader.until("job", job_id=str(live))


async def test_submissions_are_heard_each_once(remote: httpx.AsyncClient) -> None:
    async with opened(remote, "/v1/stream") as reader:
        await reader.until("ready")
        answers = await asyncio.gather(*(remote.post("/v1/jobs", json=ORDER) for _ in range(20)))
        heard = [await reader.until("job", state="queued") for _ in answers]

    assert {change.data["job_id"] for change in heard} == {answer.json()["id"] for answer in answers}


async def test_students_hear_of_their_own_jobs_only(
    remote: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, job_id: UUID
) -> None:
    sam = seeds.user("sam", Role.STUDENT)
    async with opened(remote, "/v1/stream", "1", **sam.headers) as reader:
        await reader.until("ready")
        seeds.job(admin)
        seeds.notify(channels.DATA, str(job_id))
        mine = seeds.job(sam)
        heard = await reader.next()

        assert (heard.event, heard.data["job_id"]) == ("job", str(mine))


async def test_streams_of_the_lab_are_limited(remote: httpx.AsyncClient, settings: ApiSettings, job_id: UUID) -> None:
    async with httpx.AsyncClient(base_url=remote.base_url, headers=remote.headers, timeout=20) as other:
        readers = [opened(other, "/v1/stream") for _ in range(settings.stream_limit)]
        opens = [await reader.__aenter__() for reader in readers]
        for reader in opens:
            await reader.until("ready")
        refused = await remote.get(f"/v1/jobs/{job_id}/stream")
        for entered in readers:
            await entered.__aexit__(None, None, None)

    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/too-many-streams")
    assert refused.headers["retry-after"] == "1"


async def test_stopping_ends_streams_and_held_requests_at_once(
    settings: ApiSettings, admin: SeededUser, seeds: Seeds, job_id: UUID
) -> None:
    async with (
        httpx.AsyncClient(headers=admin.headers, timeout=30) as client,
        serving(settings) as (server, url),
        opened(client, f"{url}/v1/stream") as reader,
    ):
        await reader.until("ready")
        asking = asyncio.create_task(client.get(f"{url}/v1/jobs/{job_id}?wait=30"))
        await held(server, 1)
        started = time.monotonic()
        server.should_exit = True

        assert await reader.ended()
        assert (await asking).status_code == 200
        assert time.monotonic() - started < 5


async def test_listener_comes_back_after_its_connection_broke(
    server: tuple[Server, str], remote: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, database_url: str
) -> None:
    async with opened(remote, "/v1/stream") as reader:
        await reader.until("ready")
        with psycopg.connect(database_url, autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        assert cut
        # Listeners are asked to look again, and receive what comes after.
        await reader.until("resync")
        seeds.engine.dispose()
        job_id = seeds.job(admin)
        await reader.until("job", job_id=str(job_id))
    # Every pooled connection was cut too; requests go on as if nothing had been.
    assert (await remote.get(f"/v1/jobs/{job_id}")).status_code == 200


async def test_raw_dot_segments_reach_no_file(server: tuple[Server, str], admin: SeededUser, job_id: UUID) -> None:
    host, port = server[1].removeprefix("http://").split(":")
    for path in ("..", "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e"):
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET /v1/jobs/{job_id}/artifacts/{path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n"
        writer.write(f"{request}Authorization: Bearer {admin.token}\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()

        assert answer.startswith("HTTP/1.1 404"), answer
        assert "application/problem+json" in answer
