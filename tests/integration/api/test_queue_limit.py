"""The limits of a user's queue and tokens hold for requests that come at the same moment, at every way in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from api.app import create_app
from gpulab.states import JobState, Role
from models import Job, Token
from models.settings import ApiSettings
from models.statements import allowances
from tests.integration.api.seeds import ORDER, SeededUser, Seeds
from tests.integration.api.study_calls import GRID, finish, jobs_of, submitted

LIMIT = 3
CONCURRENT = 24


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"max_queued": LIMIT, "max_tokens": LIMIT})


@pytest.fixture
def ada(seeds: Seeds) -> SeededUser:
    return seeds.user("ada", Role.STUDENT)


@pytest.fixture
async def two(settings: ApiSettings, app: FastAPI, ada: SeededUser) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Ada at two API processes of the same lab."""
    other = create_app(settings)
    async with other.router.lifespan_context(other):
        clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(one), base_url="http://lab", headers=ada.headers)
            for one in (app, other)
        ]
        yield clients
        for client in clients:
            await client.aclose()


def queued(seeds: Seeds, owner: SeededUser) -> int:
    with seeds.engine.begin() as connection:
        found = select(func.count()).where(Job.owner_id == owner.id, Job.state == JobState.QUEUED)
        return connection.execute(found).scalar_one()


async def at_once(
    clients: list[httpx.AsyncClient], call: Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]
) -> list[httpx.Response]:
    return await asyncio.gather(*(call(clients[number % 2], number) for number in range(CONCURRENT)))


async def test_submissions_at_once_pass_the_limit_nowhere(
    two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser
) -> None:
    answers = await at_once(two, lambda client, _: client.post("/v1/jobs", json=ORDER))
    refused = [answer for answer in answers if answer.status_code != 201]

    assert queued(seeds, ada) == LIMIT
    assert {answer.json()["type"] for answer in refused} == {"/problems/queue-limit-reached"}
    assert len(refused) == CONCURRENT - LIMIT


async def test_one_submission_sent_many_times_takes_one_place(
    two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser
) -> None:
    keyed = {"Idempotency-Key": "same"}
    answers = await at_once(
        two, lambda client, number: client.post("/v1/jobs", json=ORDER, headers=keyed if number > 1 else {})
    )

    assert queued(seeds, ada) == LIMIT
    assert {answer.status_code for answer in answers} == {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == LIMIT


async def test_retries_at_once_pass_the_limit_nowhere(
    two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser
) -> None:
    seeds.node()
    done = seeds.job(ada)
    finish(seeds, done)
    answers = await at_once(two, lambda client, _: client.post(f"/v1/jobs/{done}/retry"))

    assert queued(seeds, ada) == LIMIT
    assert {answer.status_code for answer in answers} == {201, 409}


async def test_studies_at_once_come_whole_or_not_at_all(
    two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser
) -> None:
    answers = await at_once(two, lambda client, number: client.post("/v1/studies", json={**GRID, "seeds": [number]}))

    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert queued(seeds, ada) == 2, "each study has two runs, and a second one has no room"
    assert len((await two[0].get("/v1/studies")).json()["items"]) == 1


async def test_retry_and_seeds_of_a_study_ask_for_room(
    two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser
) -> None:
    seeds.node()
    study = await submitted(two[0], **GRID)
    for job_id in jobs_of(seeds, study):
        finish(seeds, job_id)
    before = jobs_of(seeds, study)
    for _ in range(LIMIT - 1):
        seeds.job(ada)
    calls: list[tuple[str, Any]] = [("retry", None), ("seeds", {"seeds": [7]})]
    refused = [await two[0].post(f"/v1/studies/{study.id}/{path}", json=body) for path, body in calls]

    assert [answer.status_code for answer in refused] == [409, 409]
    assert {answer.json()["type"] for answer in refused} == {"/problems/queue-limit-reached"}
    assert (jobs_of(seeds, study), queued(seeds, ada)) == (before, LIMIT - 1)


async def test_study_is_retried_at_once_only_once(two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser) -> None:
    seeds.node()
    study = await submitted(two[0], **GRID)
    for job_id in jobs_of(seeds, study):
        finish(seeds, job_id)
    answers = await at_once(two, lambda client, _: client.post(f"/v1/studies/{study.id}/retry"))

    assert [answer.status_code for answer in answers] == [200] * CONCURRENT
    assert queued(seeds, ada) == 2


async def test_report_asks_for_room_and_a_students_is_not_urgent(
    two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser
) -> None:
    seeds.node()
    study = await submitted(two[0], **GRID)
    for job_id in jobs_of(seeds, study):
        finish(seeds, job_id, {"clean_loss": 1.0})
    waiting = [seeds.job(ada) for _ in range(LIMIT)]
    refused = await two[0].get(f"/v1/studies/{study.id}/report")
    await two[0].post(f"/v1/jobs/{waiting[0]}/cancel")
    rendering = await two[0].get(f"/v1/studies/{study.id}/report")
    report = (await two[0].get(f"/v1/jobs/{rendering.json()['report_job_id']}")).json()

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/queue-limit-reached")
    assert (rendering.status_code, report["priority"]) == (202, "normal")


async def test_tokens_made_at_once_pass_the_limit_nowhere(
    two: list[httpx.AsyncClient], seeds: Seeds, ada: SeededUser
) -> None:
    answers = await at_once(two, lambda client, number: client.post("/v1/tokens", json={"name": f"laptop {number}"}))
    with seeds.engine.begin() as connection:
        good = connection.execute(select(func.count()).select_from(Token).where(Token.user_id == ada.id)).scalar_one()

    assert good == LIMIT
    assert {answer.status_code for answer in answers} == {201, 409}


async def test_limit_is_the_owners_whatever_user_asks(
    two: list[httpx.AsyncClient], client: httpx.AsyncClient, seeds: Seeds, ada: SeededUser
) -> None:
    seeds.node()
    study = await submitted(two[0], **GRID)
    for job_id in jobs_of(seeds, study):
        finish(seeds, job_id)
    for _ in range(LIMIT):
        seeds.job(ada)
    refused = await client.post(f"/v1/studies/{study.id}/retry")
    own = [await client.post("/v1/jobs", json=ORDER) for _ in range(LIMIT + 1)]

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/queue-limit-reached")
    assert {answer.status_code for answer in own} == {201}, "admins have no limit"


async def test_nobody_waits_for_a_user_whose_study_is_being_stored(
    anonymous: httpx.AsyncClient, seeds: Seeds, ada: SeededUser
) -> None:
    bob = seeds.user("bob", Role.STUDENT)

    async def submit(user: SeededUser) -> httpx.Response:
        return await anonymous.post("/v1/jobs", json=ORDER, headers=user.headers)

    with seeds.engine.begin() as storing:
        # As the transaction does that stores a study of Ada's, for as long as it takes.
        storing.execute(allowances.one_at_a_time([ada.id]))
        waiting = [asyncio.create_task(submit(ada)) for _ in range(2)]
        async with asyncio.timeout(10):
            assert [answer.status_code for answer in await asyncio.gather(submit(bob), submit(bob))] == [201, 201]
        assert not any(task.done() for task in waiting)
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [201, 201]
