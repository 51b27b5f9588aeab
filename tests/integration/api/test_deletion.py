"""Runs and studies are deleted by their owners with all that is theirs, unless something else needs them."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, text, update

from api.audit.statements import OPERATOR
from api.deletion import statements
from gpulab.states import JobState, Role
from models import (
    Artifact,
    DeletedFile,
    Job,
    JobEvent,
    Lease,
    LogChunk,
    MetricChunk,
    PastUse,
    Phase,
    SampleChunk,
    Study,
    StudyRun,
)
from models.statements import allowances, usage
from models.tables.study import REPORT_KEY
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import GRID

OWN = (Artifact, MetricChunk, SampleChunk, Phase, LogChunk, JobEvent, Lease)


@pytest.fixture
def olga(seeds: Seeds) -> SeededUser:
    seeds.node()
    return seeds.user("olga", Role.STUDENT)


def full(seeds: Seeds, owner: SeededUser, **values: Any) -> UUID:
    """A run that succeeded and left something of everything."""
    job_id = seeds.job(owner, **values)
    seeds.run(job_id)
    seeds.finish(job_id)
    seeds.metric(job_id, "loss", [1, 2], [0.5, 0.25])
    seeds.samples(job_id, "host", {"rss_bytes": [1, 2]})
    seeds.phase(job_id, "train", 1.0)
    seeds.log(job_id, 0, b"text")
    seeds.artifact(job_id, "a.png", f"{job_id}/a.png", b"12345", "0" * 64)
    return job_id


def count(seeds: Seeds, table: Any, *conditions: Any) -> int:
    with seeds.engine.begin() as connection:
        found: int = connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
    return found


def left(seeds: Seeds, job_id: UUID) -> list[str]:
    return [table.__tablename__ for table in OWN if count(seeds, table, table.job_id == job_id)]


async def test_deleting_a_run_removes_its_data_and_frees_the_quota_immediately(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    job_id, other = full(seeds, olga), full(seeds, olga)
    retried = seeds.job(olga, retry_of=job_id)
    answer = await anonymous.delete(f"/v1/jobs/{job_id}", headers=olga.headers)
    assert answer.status_code == 204, answer.text
    assert (await anonymous.get(f"/v1/jobs/{job_id}", headers=olga.headers)).status_code == 404
    assert left(seeds, job_id) == []
    assert len(left(seeds, other)) == len(OWN)
    with seeds.engine.begin() as connection:
        assert list(connection.execute(select(DeletedFile.key)).scalars()) == [f"{job_id}/a.png"]
        assert connection.execute(allowances.stored_bytes(olga.id)).scalar_one() == 5
    assert (await anonymous.get(f"/v1/jobs/{retried}", headers=olga.headers)).json()["retry_of"] is None
    again = await anonymous.delete(f"/v1/jobs/{job_id}", headers=olga.headers)
    assert again.status_code == 404


async def test_audit_keeps_who_deleted_what_of_whom_and_when(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    job_id, (study_id, jobs) = full(seeds, olga), await study_of(client, seeds, olga, over=None)
    ina = seeds.user("ina", Role.INSTRUCTOR)
    await client.delete(f"/v1/jobs/{job_id}", headers=olga.headers)
    await client.delete(f"/v1/studies/{study_id}", headers=ina.headers)
    events = (await client.get("/v1/audit")).json()["items"]
    found = {one["target"]: (one["actor_id"], one["details"]) for one in events if one["action"].endswith(".deleted")}
    whose = {"owner_id": str(olga.id)}
    counts = {"runs_deleted": len(jobs), "runs_kept": 0}
    assert found == {
        f"job:{job_id}": (str(olga.id), whose),
        f"study:{study_id}": (str(ina.id), {**whose, **counts}),
    }


async def test_what_a_deleted_run_used_still_counts(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    """Or deleting would be a way around the limits of GPU-hours."""
    job_id = full(seeds, olga)
    since = {"since": datetime(2000, 1, 1, tzinfo=UTC), "half_life_seconds": 3600.0, "window_seconds": 3600.0}
    with seeds.engine.begin() as connection:
        connection.execute(
            update(Lease)
            .where(Lease.job_id == job_id)
            .values(
                share=0.5,
                gpu_uuids=["GPU-1"],
                held_bytes=2**30,
                granted_at=func.now() - func.make_interval(0, 0, 0, 0, 1),
            )
        )
        before = connection.execute(usage.finished(**since)).one()
    await anonymous.delete(f"/v1/jobs/{job_id}", headers=olga.headers)
    with seeds.engine.begin() as connection:
        after = connection.execute(usage.finished(**since)).one()
    assert before.gpu_hours > 0.9
    assert after.owner_id == before.owner_id
    assert after.gpu_hours == pytest.approx(before.gpu_hours, rel=0.05)
    assert after.used_seconds == pytest.approx(before.used_seconds, rel=0.05)
    assert count(seeds, PastUse) == 1


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.LEASED, JobState.RUNNING])
async def test_run_that_is_not_over_stays(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser, state: JobState
) -> None:
    job_id = seeds.job(olga)
    if state is JobState.LEASED:
        seeds.lease(job_id)
    if state is JobState.RUNNING:
        seeds.run(job_id)
    answer = await anonymous.delete(f"/v1/jobs/{job_id}", headers=olga.headers)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-not-deletable")
    assert state.value in answer.json()["detail"]
    assert count(seeds, Job, Job.id == job_id) == 1


async def test_run_that_was_handed_in_stays_until_another_takes_its_place(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    first, second = full(seeds, olga), full(seeds, olga)
    homework = {"name": "Homework 3", "deadline": "2999-01-01T00:00:00Z", "experiments": ["dropout-linear"]}
    assignment = (await client.post("/v1/assignments", json=homework)).json()["id"]
    pin = f"/v1/assignments/{assignment}/submission"
    await client.post(pin, json={"job_id": str(first)}, headers=olga.headers)
    refused = await client.delete(f"/v1/jobs/{first}", headers=olga.headers)
    assert (refused.status_code, "Homework 3" in refused.json()["detail"]) == (409, True)
    await client.post(pin, json={"job_id": str(second)}, headers=olga.headers)
    assert (await client.delete(f"/v1/jobs/{first}", headers=olga.headers)).status_code == 204
    grade = f"/v1/assignments/{assignment}/grades/{olga.id}"
    assert (await client.put(grade, json={"points": 3})).status_code == 200
    assert (await client.delete(f"/v1/jobs/{second}", headers=olga.headers)).status_code == 409


async def test_deleting_several_runs_gives_a_reason_for_each_that_is_kept(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    sam = seeds.user("sam", Role.STUDENT)
    mine, others, waits, nowhere = full(seeds, olga), full(seeds, sam), seeds.job(olga), uuid4()
    asked = {"job_ids": [str(one) for one in (mine, others, waits, nowhere, mine)]}
    answer = (await anonymous.post("/v1/jobs/delete", json=asked, headers=olga.headers)).json()
    assert answer["deleted"] == [str(mine)]
    assert [(one["job_id"], one["because"]) for one in answer["kept"]] == [
        (str(others), "not_found"),
        (str(waits), "not_over"),
        (str(nowhere), "not_found"),
    ]
    assert answer["kept"][0]["message"] == f"no job of yours has the id {others}"
    assert len(left(seeds, others)) == len(OWN)
    many = {"job_ids": [str(uuid4()) for _ in range(101)]}
    too_many = await anonymous.post("/v1/jobs/delete", json=many, headers=olga.headers)
    assert too_many.json()["errors"][0]["limit"] == {"max_length": 100, "actual_length": 101, "field_type": "List"}


async def study_of(
    client: httpx.AsyncClient, seeds: Seeds, owner: SeededUser, *, over: int | None
) -> tuple[UUID, list[UUID]]:
    """A study whose first `over` runs have ended; None is all."""
    made = await client.post("/v1/studies", json=GRID, headers=owner.headers)
    study_id = UUID(made.json()["id"])
    with seeds.engine.begin() as connection:
        found = select(StudyRun.job_id).where(StudyRun.study_id == study_id).order_by(StudyRun.position)
        jobs = list(connection.execute(found).scalars())
    for job_id in jobs if over is None else jobs[:over]:
        seeds.run(job_id)
        seeds.finish(job_id)
    return study_id, jobs


async def test_study_goes_with_its_runs_once_it_is_over(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    study_id, jobs = await study_of(anonymous, seeds, olga, over=1)
    refused = await anonymous.delete(f"/v1/jobs/{jobs[0]}", headers=olga.headers)
    assert (refused.status_code, "still runs" in refused.json()["detail"]) == (409, True)
    refused = await anonymous.delete(f"/v1/studies/{study_id}", headers=olga.headers)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/study-not-finished")
    for job_id in jobs[1:]:
        seeds.run(job_id)
        seeds.finish(job_id)
    again = await anonymous.post("/v1/studies", json=GRID, headers=olga.headers)
    reused = UUID(again.json()["id"])
    gone = await anonymous.delete(f"/v1/studies/{reused}", headers=olga.headers)
    assert gone.json() == {"runs_deleted": 0, "runs_kept": len(jobs)}
    gone = await anonymous.delete(f"/v1/studies/{study_id}", headers=olga.headers)
    assert gone.json() == {"runs_deleted": len(jobs), "runs_kept": 0}
    assert count(seeds, Job, Job.owner_id == olga.id) == count(seeds, Study) == count(seeds, StudyRun) == 0
    assert (await anonymous.get(f"/v1/studies/{study_id}", headers=olga.headers)).status_code == 404


async def test_study_goes_with_the_reports_of_all_its_versions(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    study_id, _ = await study_of(anonymous, seeds, olga, over=None)
    full(seeds, olga, idempotency_key=f"{REPORT_KEY}{study_id} 1")
    newest = seeds.job(olga, idempotency_key=f"{REPORT_KEY}{study_id} 2")
    others = full(seeds, olga, idempotency_key=f"{REPORT_KEY}{uuid4()} 1")
    with seeds.engine.begin() as connection:
        connection.execute(update(Study).values(report_job_id=newest))
    refused = await anonymous.delete(f"/v1/studies/{study_id}", headers=olga.headers)
    assert (refused.status_code, "a report of it" in refused.json()["detail"]) == (409, True)
    seeds.run(newest)
    seeds.finish(newest)
    assert (await anonymous.delete(f"/v1/studies/{study_id}", headers=olga.headers)).status_code == 200
    with seeds.engine.begin() as connection:
        assert list(connection.execute(select(Job.id)).scalars()) == [others]


async def test_study_is_read_without_the_runs_that_were_deleted_from_it(
    anonymous: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    study_id, jobs = await study_of(anonymous, seeds, olga, over=None)
    path = f"/v1/studies/{study_id}"
    tag = (await anonymous.get(path, headers=olga.headers)).headers["etag"]
    asked = {"job_ids": [str(one) for one in jobs[1:]]}
    answer = await anonymous.post("/v1/jobs/delete", json=asked, headers=olga.headers)
    assert answer.json()["kept"] == []
    study = await anonymous.get(path, headers={**olga.headers, "If-None-Match": tag})
    assert study.json()["runs"] == 1
    await anonymous.delete(f"/v1/jobs/{jobs[0]}", headers=olga.headers)
    assert (await anonymous.get(path, headers=olga.headers)).json()["runs"] == 0
    assert (await anonymous.delete(path, headers=olga.headers)).json() == {"runs_deleted": 0, "runs_kept": 0}


async def test_hand_in_of_a_run_that_is_deleted_meanwhile_is_a_conflict(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser
) -> None:
    job_id = full(seeds, olga)
    homework = {"name": "Late", "deadline": "2999-01-01T00:00:00Z", "experiments": ["dropout-linear"]}
    assignment = (await client.post("/v1/assignments", json=homework)).json()["id"]
    pin = f"/v1/assignments/{assignment}/submission"
    with seeds.engine.connect() as deleting:
        assert deleting.execute(statements.delete_runs([job_id], OPERATOR)).all()
        asked = asyncio.create_task(client.post(pin, json={"job_id": str(job_id)}, headers=olga.headers))
        async with asyncio.timeout(20):
            while not waits_for_a_lock(seeds):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        deleting.commit()
    answer = await asked
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/deleted-meanwhile")


def waits_for_a_lock(seeds: Seeds) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%submissions%'"
    with seeds.engine.begin() as connection:
        return bool(connection.execute(text(waiting)).scalar_one())
