"""Changing a study over HTTP: cancelling, trying again, more seeds, and changes that meet each other."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from gpulab.schemas import StudyRead
from models import Job
from models.statements import leases
from tests.integration.api.seeds import NODE, Seeds
from tests.integration.api.study_calls import GRID, count, finish, jobs_of, read, submitted


async def test_cancelling_ends_what_is_unfinished_and_keeps_the_rest(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client)
    done, leased, running, queued = jobs_of(seeds, study)
    finish(seeds, done, {"clean_loss": 1.0})
    seeds.lease(leased)
    seeds.run(running)
    answer = await client.post(f"/v1/studies/{study.id}/cancel")
    again = await client.post(f"/v1/studies/{study.id}/cancel")
    asked = (await client.get(f"/v1/jobs/{running}")).json()

    assert (answer.status_code, again.status_code) == (202, 202)
    assert answer.json()["states"] == {"succeeded": 1, "cancelled": 2, "running": 1}
    assert (asked["state"], asked["cancel_requested_at"] is None) == ("running", False)
    assert answer.json()["cancelled_at"] is not None
    assert (await client.get(f"/v1/jobs/{queued}")).json()["state"] == "cancelled"


async def test_retry_replaces_failed_and_cancelled_runs_once(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client)
    done, failed, *_ = before = jobs_of(seeds, study)
    finish(seeds, done, {"clean_loss": 1.0})
    finish(seeds, failed)
    await client.post(f"/v1/studies/{study.id}/cancel")
    answers = await asyncio.gather(*(client.post(f"/v1/studies/{study.id}/retry") for _ in range(3)))
    after = jobs_of(seeds, study)
    again = (await client.get(f"/v1/jobs/{after[1]}")).json()

    assert [answer.status_code for answer in answers] == [200] * 3
    assert (after[0], len(set(after) & set(before))) == (done, 1)
    assert (again["retry_of"], again["seed"], again["state"]) == (str(failed), 1, "queued")
    assert count(seeds, Job) == 4 + 3
    assert (await read(client, study)).cancelled_at is None


async def test_seeds_added_keep_finished_runs(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client)
    before = jobs_of(seeds, study)
    finish(seeds, before[0], {"clean_loss": 1.0})
    answer = await client.post(f"/v1/studies/{study.id}/seeds", json={"seeds": [1, 2]})
    again = await client.post(f"/v1/studies/{study.id}/seeds", json={"seeds": [2]})
    found = StudyRead.model_validate_json(answer.content)

    assert (found.seeds, found.runs, found.states) == ([0, 1, 2], 6, {"succeeded": 1, "queued": 5})
    assert set(before) < set(jobs_of(seeds, study))
    assert again.json()["runs"] == 6
    assert count(seeds, Job) == 6


async def test_seeds_added_by_several_at_once_are_all_there(client: httpx.AsyncClient, seeds: Seeds) -> None:
    study = await submitted(client)
    answers = await asyncio.gather(
        *(client.post(f"/v1/studies/{study.id}/seeds", json={"seeds": [seed]}) for seed in (5, 6, 7))
    )

    assert [answer.status_code for answer in answers] == [200] * 3
    assert sorted((await read(client, study)).seeds) == [0, 1, 5, 6, 7]
    assert len(set(jobs_of(seeds, study))) == count(seeds, Job) == 10


async def test_seeds_that_train_together_find_new_company_and_leave_no_job_behind(
    client: httpx.AsyncClient, seeds: Seeds
) -> None:
    study = await submitted(client, template="course/4a", scale="smoke", seeds=[0])
    await client.post(f"/v1/studies/{study.id}/seeds", json={"seeds": [1]})
    with seeds.engine.begin() as connection:
        wanted = select(Job.id).where(Job.state == "queued")
        queued = set(connection.execute(wanted).scalars())

    assert queued == set(jobs_of(seeds, study))


async def while_held(seeds: Seeds, change: Any, call: Any) -> httpx.Response:
    """The answer to `call`, which meets rows that another transaction has changed and commits only then."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with seeds.engine.connect() as holder, seeds.engine.connect() as watcher:
        holder.execute(change)
        task = asyncio.create_task(call)
        async with asyncio.timeout(10):
            while not watcher.execute(waiting).scalar_one():
                watcher.rollback()
                await asyncio.sleep(0.02)
        holder.commit()
        answer: httpx.Response = await task
    return answer


@pytest.mark.parametrize("whole", [True, False])
async def test_cancelling_waits_for_a_worker_that_writes_to_the_job(
    client: httpx.AsyncClient, seeds: Seeds, whole: bool
) -> None:
    seeds.node()
    study = await submitted(client, **GRID)
    leased, _ = jobs_of(seeds, study)
    seeds.lease(leased)
    address = f"/v1/studies/{study.id}/cancel" if whole else f"/v1/jobs/{leased}/cancel"
    answer = await while_held(seeds, text("UPDATE jobs SET version = version + 1"), client.post(address))

    assert answer.status_code == 202, answer.text
    assert (await client.get(f"/v1/jobs/{leased}")).json()["state"] == "cancelled"


@pytest.mark.parametrize("whole", [True, False])
async def test_cancelling_waits_for_the_scheduler_that_gives_the_job_away(
    client: httpx.AsyncClient, seeds: Seeds, whole: bool
) -> None:
    seeds.node()
    study = await submitted(client, **GRID)
    given, _ = jobs_of(seeds, study)
    grant = leases.grant(given, node=NODE, gpu_uuids=(), reserved_bytes=None, lease_seconds=60)
    address = f"/v1/studies/{study.id}/cancel" if whole else f"/v1/jobs/{given}/cancel"
    answer = await while_held(seeds, grant, client.post(address))
    job = (await client.get(f"/v1/jobs/{given}")).json()

    assert answer.status_code == 202, answer.text
    assert (job["state"], job["cancel_requested_at"] is None) == ("leased", False)


async def test_retry_waits_for_another_change_of_the_study(client: httpx.AsyncClient, seeds: Seeds) -> None:
    study = await submitted(client, **GRID)
    await client.post(f"/v1/studies/{study.id}/cancel")
    call = client.post(f"/v1/studies/{study.id}/retry")
    answer = await while_held(seeds, text("UPDATE study_runs SET reused = reused"), call)

    assert (answer.status_code, answer.json()["states"]) == (200, {"queued": 2})


async def test_adding_seeds_waits_for_another_change_of_the_study(client: httpx.AsyncClient, seeds: Seeds) -> None:
    study = await submitted(client)
    call = client.post(f"/v1/studies/{study.id}/seeds", json={"seeds": [9]})
    answer = await while_held(seeds, text("UPDATE studies SET revision = revision + 1"), call)

    assert (answer.status_code, answer.json()["runs"]) == (200, 6)
