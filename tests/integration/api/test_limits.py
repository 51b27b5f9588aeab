"""What a user may do at most, refused with the reason and counted for nobody else."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.limits.turns import asker
from gpulab.states import Role
from models import User
from models.settings import ApiSettings
from tests.integration.api.seeds import ORDER, SeededUser, Seeds, comes_to


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    limits = {"max_queued": 2, "max_artifact_bytes": 10, "requests_per_second": 0.01, "request_burst": 50}
    return settings.model_copy(update=limits)


async def submitted(
    client: httpx.AsyncClient, user: SeededUser, path: str = "/v1/jobs", **body: object
) -> httpx.Response:
    return await client.post(path, json=body or ORDER, headers=user.headers)


async def test_queue_limit_refuses_what_would_be_one_too_many(client: httpx.AsyncClient, seeds: Seeds) -> None:
    ada, bob = seeds.user("ada", Role.STUDENT), seeds.user("bob", Role.STUDENT)
    assert [(await submitted(client, ada)).status_code for _ in range(2)] == [201, 201]
    refused = await submitted(client, ada)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/queue-limit-reached")
    assert "the limit is 2" in refused.json()["detail"]
    assert (await submitted(client, bob)).status_code == 201
    with seeds.engine.begin() as connection:
        connection.execute(update(User).where(User.id == ada.id).values(max_queued=3))
    await comes_to(lambda: submitted(client, ada), 201)


async def test_same_submission_again_is_answered_in_spite_of_the_limit(client: httpx.AsyncClient, seeds: Seeds) -> None:
    ada = seeds.user("ada", Role.STUDENT)
    headers = {**ada.headers, "Idempotency-Key": "k"}
    answers = [(await client.post("/v1/jobs", json=ORDER, headers=headers)).status_code for _ in range(2)]
    assert answers == [201, 200]
    await submitted(client, ada)
    assert (await client.post("/v1/jobs", json=ORDER, headers=headers)).status_code == 200


async def test_who_keeps_too_many_bytes_submits_nothing_new(client: httpx.AsyncClient, seeds: Seeds) -> None:
    ada = seeds.user("ada", Role.STUDENT)
    seeds.artifact(seeds.job(ada), "big.txt", "key", b"x" * 11, "digest")
    refused = await submitted(client, ada)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/artifact-quota-reached")


async def test_too_many_requests_are_told_when_to_come_back(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    ada = seeds.user("ada", Role.STUDENT)
    await client.get("/v1/me")
    answers = [await client.get("/v1/me", headers=ada.headers) for _ in range(51)]
    # An answer counts by the time that it takes to compute, so a busy machine may count one as several.
    assert {answer.status_code for answer in answers[:5]} == {200}
    assert answers[-1].status_code == 429
    assert answers[-1].json()["type"] == "/problems/too-many-requests"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert all([(await client.get("/v1/me")).status_code == 200 for _ in range(60)]), "admins are not limited"


async def test_the_class_high_is_for_staff(client: httpx.AsyncClient, seeds: Seeds) -> None:
    ada, grace = seeds.user("ada", Role.STUDENT), seeds.user("grace", Role.INSTRUCTOR)
    urgent = {**ORDER, "priority": "high"}
    for path in ("/v1/jobs", "/v1/jobs?dry_run=true"):
        refused = await submitted(client, ada, path, **urgent)
        assert refused.status_code == 422
        assert [(e["path"], e["value"]) for e in refused.json()["errors"]] == [("priority", "high")]
    assert (await submitted(client, grace, **urgent)).json()["priority"] == "high"
    assert (await submitted(client, ada, **{**ORDER, "priority": "low"})).json()["priority"] == "low"
    mine = seeds.job(ada, priority="high")
    await client.post(f"/v1/jobs/{mine}/cancel", headers=ada.headers)
    again = await client.post(f"/v1/jobs/{mine}/retry", headers=ada.headers)
    assert (again.status_code, again.json()["priority"]) == (201, "normal")


async def test_one_users_slow_requests_leave_connections_to_others_and_say_who_is_busy(
    client: httpx.AsyncClient, app: FastAPI, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.sql.pool.WAIT_SECONDS", 0.05)
    ada, bob = seeds.user("ada", Role.STUDENT), seeds.user("bob", Role.STUDENT)
    await client.get("/v1/me", headers=ada.headers)
    pool = app.state.app.database._pool
    asker.set(ada.id)
    async with pool.connection():
        refused = await client.get("/v1/jobs", headers=ada.headers)
        served = await client.get("/v1/jobs", headers=bob.headers)

    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/busy")
    assert "your request waited" in refused.json()["detail"]
    assert refused.headers["Retry-After"] == "1"
    assert served.status_code == 200
