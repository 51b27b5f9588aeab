"""The API while the database is read-only or ends its sessions: 503 with Retry-After, and well again by itself."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import psycopg
from sqlalchemy import text

from models.settings import ApiSettings
from models.statements.readiness import LEADER_LOCK
from server.embedded import EmbeddedPostgres
from tests.conftest import new_database
from tests.failover import end_sessions, read_only
from tests.integration.api.seeds import Seeds, body

JSON = {"Content-Type": "application/json"}


async def submit(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/jobs", content=body(), headers=JSON)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110 - what is looked at lies behind HTTP
            await asyncio.sleep(0.05)


async def test_read_only_database_is_503_and_heals(client: httpx.AsyncClient, settings: ApiSettings) -> None:
    assert (await submit(client)).status_code == 201
    with read_only(settings.database_url):
        for _ in range(3):
            answer = await submit(client)
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        ready = await client.get("/readyz")
        assert "database" in {field["path"] for field in ready.json()["errors"]}
    assert (await submit(client)).status_code == 201


async def test_listener_leaves_a_server_that_takes_no_changes(client: httpx.AsyncClient, settings: ApiSettings) -> None:
    async def notices_missing() -> bool:
        return "notices" in {field["path"] for field in (await client.get("/readyz")).json().get("errors") or []}

    async def notices_there() -> bool:
        return not await notices_missing()

    await until(notices_there)
    with read_only(settings.database_url):
        await until(notices_missing)
    await until(notices_there)


async def test_ended_sessions_are_503_at_worst_and_heal(client: httpx.AsyncClient, settings: ApiSettings) -> None:
    assert (await submit(client)).status_code == 201
    end_sessions(settings.database_url)
    answers = [(await submit(client)).status_code for _ in range(6)]
    assert set(answers) <= {201, 503}
    assert answers[-1] == 201


async def test_leader_of_another_database_is_not_ours(
    anonymous: httpx.AsyncClient, seeds: Seeds, postgres: EmbeddedPostgres
) -> None:
    seeds.node()
    other = new_database(postgres, "another_lab")
    with psycopg.connect(other) as leader:
        leader.execute("SELECT pg_advisory_lock(%s)", [LEADER_LOCK])
        answer = await anonymous.get("/readyz")
        assert "scheduler" in {field["path"] for field in answer.json()["errors"]}
        with seeds.engine.connect() as ours:
            ours.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LEADER_LOCK})
            answer = await anonymous.get("/readyz")
            assert "scheduler" not in {field["path"] for field in answer.json().get("errors") or []}
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE another_lab WITH (FORCE)")
