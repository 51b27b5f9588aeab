"""Two API processes over one database and one Redis: what one is told holds for the other, too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import psycopg
import pytest

from api.__main__ import Server
from gpulab.states import Role
from models.settings import ApiSettings
from tests.integration.api.conftest import serving
from tests.integration.api.seeds import ORDER, SeededUser, Seeds, comes_to
from tests.integration.api.test_streams import opened

BURST, FAILURES = 20, 4


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    limits = {"requests_per_second": 0.01, "request_burst": BURST, "failed_sign_ins_per_minute": FAILURES}
    return settings.model_copy(update=limits)


@pytest.fixture
def sam(seeds: Seeds) -> SeededUser:
    return seeds.user("sam", Role.STUDENT)


@pytest.fixture(autouse=True)
def slow_machine_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are counted here, one each; how much processor time one takes depends on what else the machine does."""
    monkeypatch.setattr("api.limits.request_rate.SECONDS_PER_REQUEST", float("inf"))


@pytest.fixture
async def servers(settings: ApiSettings) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        yield [(await stack.enter_async_context(serving(settings)))[0] for _ in range(2)]


@pytest.fixture
async def both(servers: list[Server]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each."""
    async with AsyncExitStack() as stack:
        ports = [server.servers[0].sockets[0].getsockname()[1] for server in servers]
        yield [
            await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20))
            for port in ports
        ]


async def me(client: httpx.AsyncClient, user: SeededUser) -> httpx.Response:
    return await client.get("/v1/me", headers=user.headers)


async def told(*servers: Server) -> None:
    """What happens a few times a second: each tells the others what it let through."""
    for server in servers:
        sharing = server.app.state.app.bucket_sync
        for buckets in sharing.kinds:
            await sharing.tell(buckets)


async def test_what_was_asked_of_one_counts_at_the_other(
    servers: list[Server], both: list[httpx.AsyncClient], sam: SeededUser
) -> None:
    first, second = both
    assert [(await me(first, sam)).status_code for _ in range(BURST - 1)] == [200] * (BURST - 1)
    await told(servers[0])
    assert (await me(second, sam)).status_code == 200
    await told(servers[1])
    refused = await me(second, sam)
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-requests")


async def test_failed_sign_ins_at_one_count_at_the_other(
    servers: list[Server], both: list[httpx.AsyncClient], sam: SeededUser
) -> None:
    first, second = both
    wrong = {"Authorization": f"Bearer {sam.token[:9]}wrong"}
    assert [(await me(client, sam)).status_code for client in both] == [200, 200]
    assert [(await first.get("/v1/me", headers=wrong)).status_code for _ in range(FAILURES)] == [401] * FAILURES
    await told(servers[0])
    assert (await second.get("/v1/me", headers=wrong)).status_code == 401
    await told(servers[1])
    assert (await second.get("/v1/me", headers=wrong)).status_code == 429
    assert [(await me(client, sam)).status_code for client in both] == [200, 200]


async def test_without_redis_each_counts_for_itself(settings: ApiSettings, sam: SeededUser) -> None:
    away = settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"})
    async with serving(away) as (server, url), httpx.AsyncClient(base_url=url, timeout=20) as client:
        for _ in range(BURST):
            assert (await me(client, sam)).status_code == 200
        await told(server)
        assert (await me(client, sam)).status_code == 429


async def test_revoked_token_is_refused_by_both(
    both: list[httpx.AsyncClient], servers: list[Server], admin: SeededUser, sam: SeededUser
) -> None:
    first, second = both
    tokens = (await first.get("/v1/tokens", headers=sam.headers)).json()["items"]
    assert [(await me(client, sam)).status_code for client in both] == [200, 200]
    assert all(server.app.state.app.hub.hears_all for server in servers)

    revoked = await first.delete(f"/v1/tokens/{tokens[0]['id']}", headers=admin.headers)

    assert revoked.status_code == 204
    assert (await me(first, sam)).status_code == 401
    await comes_to(lambda: me(second, sam), 401)


async def test_whoever_may_not_hear_of_changes_looks_up_every_token(
    servers: list[Server], both: list[httpx.AsyncClient], sam: SeededUser, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, hub = both[0], servers[0].app.state.app.hub
    assert (await me(client, sam)).status_code == 200
    # As after a cut that the operating system has not noticed yet: the connection is there, and proves nothing.
    monkeypatch.setattr("api.live.hub.TRUST_SECONDS", 0.0)
    assert not hub.hears_all
    seeds.revoke(sam)
    assert (await me(client, sam)).status_code == 401


async def test_lost_listener_turns_remembering_off(
    servers: list[Server],
    both: list[httpx.AsyncClient],
    sam: SeededUser,
    seeds: Seeds,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, hub = both[0], servers[0].app.state.app.hub
    assert (await me(client, sam)).status_code == 200
    monkeypatch.setattr("api.live.hub.RECONNECT_SECONDS", 60.0)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    seeds.engine.dispose()
    async with asyncio.timeout(15):
        while hub.listening:  # noqa: ASYNC110 - the hub tells nobody
            await asyncio.sleep(0.01)
    assert (await me(client, sam)).status_code == 200
    seeds.revoke(sam)
    assert (await me(client, sam)).status_code == 401


@pytest.mark.parametrize("end", ["revoked", "shut out", "over", "another"])
async def test_stream_ends_with_the_right_to_read_it(
    both: list[httpx.AsyncClient], admin: SeededUser, sam: SeededUser, seeds: Seeds, end: str
) -> None:
    first, second = both
    seeds.node()
    job_id = seeds.job(sam)
    token = (await first.get("/v1/tokens", headers=sam.headers)).json()["items"][0]["id"]
    async with (
        opened(second, f"/v1/jobs/{job_id}/stream", **sam.headers) as of_job,
        opened(second, "/v1/stream", **sam.headers) as of_all,
        opened(second, "/v1/stream", **admin.headers) as of_another,
    ):
        await of_job.next()
        await of_all.until("ready")
        await of_another.until("ready")
        match end:
            case "revoked":
                await first.delete(f"/v1/tokens/{token}", headers=admin.headers)
            case "shut out":
                await first.post(f"/v1/users/{sam.id}/disable", headers=admin.headers)
            case "over":
                seeds.expire(token)
            case _:
                seeds.promote(sam)
        async with asyncio.timeout(5):
            assert await of_job.ended()
            assert await of_all.ended()
        made = await first.post("/v1/jobs", json=ORDER, headers=admin.headers)
        await of_another.until("job", job_id=made.json()["id"])
