"""Streams, held requests and downloads: how many one user may have, and what ends them before their time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import func, update
from structlog.testing import capture_logs

from api.__main__ import Server
from api.context import App
from api.limits.turns import THE_LAB, asker
from api.live.stream_guard import Permit
from api.results import files
from api.sharing import statements as sharing
from gpulab.states import Audience, Role
from models import User
from models.settings import ApiSettings
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import GRID, jobs_of, submitted
from tests.integration.api.test_streams import held, opened

OF_USER = 4


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"open_per_user": OF_USER})


@pytest.fixture
def ada(seeds: Seeds) -> SeededUser:
    seeds.node()
    return seeds.user("ada", Role.STUDENT)


@pytest.fixture
def bob(seeds: Seeds) -> SeededUser:
    return seeds.user("bob", Role.STUDENT)


@pytest.fixture
async def alices(server: tuple[Server, str], ada: SeededUser) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server[1], headers=ada.headers, timeout=20) as made:
        yield made


def app_of(server: tuple[Server, str]) -> App:
    app: App = server[0].app.state.app
    return app


def run(seeds: Seeds, *statements: Any) -> None:
    with seeds.engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


async def test_one_user_has_so_many_streams_and_held_requests_and_others_have_theirs(
    server: tuple[Server, str], alices: httpx.AsyncClient, seeds: Seeds, ada: SeededUser, bob: SeededUser
) -> None:
    job_id = seeds.job(ada)
    async with AsyncExitStack() as open_now:
        readers = [await open_now.enter_async_context(opened(alices, "/v1/stream")) for _ in range(OF_USER - 1)]
        for reader in readers:
            await reader.until("ready")
        asking = asyncio.create_task(alices.get(f"/v1/jobs/{job_id}?wait=15"))
        await held(server[0], 1)
        calls = ("/v1/stream", f"/v1/jobs/{job_id}/stream", f"/v1/jobs/{job_id}?wait=15")
        refused = [await alices.get(path) for path in calls]
        plain = await alices.get(f"/v1/jobs/{job_id}")
        other = await open_now.enter_async_context(opened(alices, "/v1/stream", **bob.headers))
        await other.until("ready")
        seeds.lease(job_id)
        answered = await asking

    assert [(answer.status_code, answer.json()["type"]) for answer in refused] == [(429, "/problems/too-many-open")] * 3
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert (plain.status_code, answered.json()["state"]) == (200, "leased")


async def test_places_come_back_when_streams_are_left(alices: httpx.AsyncClient, seeds: Seeds, ada: SeededUser) -> None:
    job_id = seeds.job(ada)
    for _ in range(3 * OF_USER):
        async with asyncio.timeout(15):
            while (await alices.get(f"/v1/jobs/{job_id}?wait=0.001")).status_code == 429:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with opened(alices, "/v1/stream") as reader:
            await reader.until("ready")


@pytest.mark.parametrize("how", ["job", "study"])
async def test_stream_ends_when_the_job_is_shared_no_longer(
    alices: httpx.AsyncClient, seeds: Seeds, ada: SeededUser, bob: SeededUser, how: str
) -> None:
    study = await submitted(alices, **GRID)
    job_id = jobs_of(seeds, study)[0] if how == "study" else seeds.job(ada)
    thing, share = (study.id, sharing.share_study) if how == "study" else (job_id, sharing.share_job)
    run(seeds, share(thing, Audience.CLASS))
    async with (
        opened(alices, f"/v1/jobs/{job_id}/stream", **bob.headers) as shared,
        opened(alices, f"/v1/jobs/{job_id}/stream") as own,
    ):
        await shared.until("job")
        await own.until("job")
        run(seeds, share(thing, None))
        assert await shared.ended()
        seeds.lease(job_id)
        assert (await own.until("job", state="leased")).data["job_id"] == str(job_id)


async def test_stream_of_a_team_ends_when_the_owner_leaves_it(
    alices: httpx.AsyncClient, seeds: Seeds, ada: SeededUser, bob: SeededUser
) -> None:
    run(seeds, update(User).values(team="red"))
    job_id = seeds.job(ada)
    run(seeds, sharing.share_job(job_id, Audience.TEAM))
    async with opened(alices, f"/v1/jobs/{job_id}/stream", **bob.headers) as shared:
        await shared.until("job")
        run(seeds, update(User).where(User.id == ada.id).values(team="blue"))
        assert await shared.ended()


@pytest.mark.parametrize("change", ["revoked", "disabled", "promoted", "moved"])
async def test_held_request_is_not_answered_to_who_may_not_read_any_longer(
    server: tuple[Server, str], alices: httpx.AsyncClient, seeds: Seeds, ada: SeededUser, change: str
) -> None:
    job_id = seeds.job(ada)
    asking = asyncio.create_task(alices.get(f"/v1/jobs/{job_id}?wait=15"))
    await held(server[0], 1)
    # A request is looked at again once it took a while.
    await asyncio.wait([asking], timeout=0.3)
    if change == "revoked":
        seeds.revoke(ada)
    else:
        values = {"disabled": {"disabled_at": func.now()}, "promoted": {"role": "instructor"}, "moved": {"team": "red"}}
        run(seeds, update(User).where(User.id == ada.id).values(values[change]))
    seeds.lease(job_id)
    answer = await asking

    assert answer.status_code == (401 if change in {"revoked", "disabled"} else 403)
    assert str(job_id) not in answer.text


async def test_held_request_is_not_answered_when_the_job_is_shared_no_longer(
    server: tuple[Server, str], alices: httpx.AsyncClient, seeds: Seeds, ada: SeededUser, bob: SeededUser
) -> None:
    study = await submitted(alices, **GRID)
    run(seeds, sharing.share_study(study.id, Audience.CLASS))
    tag = (await alices.get(f"/v1/studies/{study.id}", headers=bob.headers)).headers["etag"]
    paths = [f"/v1/studies/{study.id}?wait=15", f"/v1/studies/{study.id}/report?wait=15"]
    asking = [asyncio.create_task(alices.get(path, headers={**bob.headers, "If-None-Match": tag})) for path in paths]
    async with asyncio.timeout(15):
        while app_of(server).hub.streams < len(paths):  # noqa: ASYNC110 - the hub tells nobody
            await asyncio.sleep(0.01)
    run(seeds, sharing.share_study(study.id, None))
    for job_id in jobs_of(seeds, study):
        seeds.lease(job_id)
    answers = await asyncio.gather(*asking)

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_revoked_stream_ends_while_requests_have_every_connection(
    server: tuple[Server, str], alices: httpx.AsyncClient, seeds: Seeds, ada: SeededUser, settings: ApiSettings
) -> None:
    pool = app_of(server).database._pool
    async with opened(alices, "/v1/stream") as reader, AsyncExitStack() as taken:
        await reader.until("ready")
        everybody = asker.set(THE_LAB)
        for _ in range(settings.pool_size):
            await taken.enter_async_context(pool.connection())
        asker.reset(everybody)
        seeds.revoke(ada)
        assert await reader.ended()


async def test_stream_ends_without_an_error_when_the_database_is_away(
    server: tuple[Server, str], alices: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("the server went away")

    monkeypatch.setattr(app_of(server).database, "scalar", away)
    with capture_logs() as lines:
        async with opened(alices, "/v1/stream") as reader:
            assert await reader.ended()
    events = [line["event"] for line in lines]
    assert "stream.ended" in events
    assert "request.failed" not in events


async def test_download_breaks_off_when_the_reader_may_not_read_any_longer(
    server: tuple[Server, str],
    alices: httpx.AsyncClient,
    seeds: Seeds,
    ada: SeededUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = asyncio.Event()

    async def slow(*_: object) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 10
            await go_on.wait()
            yield b"x" * 10

        return chunks()

    monkeypatch.setattr(files, "_open", slow)
    job_id: UUID = seeds.job(ada)
    seeds.artifact(job_id, "long.txt", "key", b"x" * 20, "digest")
    async with alices.stream("GET", f"/v1/jobs/{job_id}/artifacts/long.txt") as answer:
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b"x" * 10
        seeds.revoke(ada)
        async with asyncio.timeout(15):
            permits = app_of(server).stream_guard._readers
            while not any(isinstance(one, Permit) and one.closed for one in permits):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        go_on.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(chunks)
