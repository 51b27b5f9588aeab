"""Studies over HTTP: all runs at once, reuse, comparison, the report."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from api.studies import reading as study_reading
from gpulab.schemas import StudyPage, StudyRead, StudyReportRead
from gpulab.states import Role
from models import Job, JobEvent, Study
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import GRID, SEEDED, count, finish, jobs_of, read, submitted


async def test_grid_becomes_a_job_for_every_combination_and_seed(client: httpx.AsyncClient, seeds: Seeds) -> None:
    answer = await client.post("/v1/studies", json={**SEEDED, "name": "two rates"})
    study = StudyRead.model_validate_json(answer.content)
    listed = (await client.get("/v1/jobs", params={"study": str(study.id)})).json()["items"]

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/studies/{study.id}"
    assert (study.state, study.runs, study.reused, study.states) == ("running", 4, 0, {"queued": 4})
    assert [cell.cell for cell in study.comparison] == [{"dropout": 0.1}, {"dropout": 0.5}]
    assert {job["id"] for job in listed} == {str(job_id) for job_id in jobs_of(seeds, study)}
    assert {(job["study_id"], job["name"]) for job in listed} == {
        (str(study.id), "dropout=0.1"),
        (str(study.id), "dropout=0.5"),
    }
    assert sorted(job["seed"] for job in listed) == [0, 0, 1, 1]
    assert count(seeds, JobEvent) == 4


async def test_template_is_laid_out_by_question(client: httpx.AsyncClient) -> None:
    study = await submitted(client, template="course/1b", scale="smoke")

    assert (study.template, study.scale, study.title[:3]) == ("course/1b", "smoke", "1b.")
    assert [(each.question, each.runs, each.final) for each in study.questions] == [("course/1b", study.runs, 0)]
    tagged = (await client.get("/v1/jobs?tag=course/1b")).json()["items"]
    assert len(tagged) == study.runs


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({}, "template"),
        ({"template": "course/9z"}, "template"),
        ({"template": "course/1a", "scale": "huge"}, "scale"),
        ({"template": "course/1a", "grid": {"dropout": [0.1]}}, "grid"),
        ({"template": "course/1a", "experiment": "dropout-linear"}, "template"),
        ({**GRID, "scale": "smoke"}, "scale"),
        ({**GRID, "experiment": "unheard-of"}, "experiment"),
        ({**GRID, "grid": {"dropuot": [0.1]}}, "grid.dropuot"),
        ({**GRID, "grid": {"dropout": [0.1, 1.5]}}, "grid.dropout.1"),
        ({**GRID, "grid": {"dropout": ["0.1"]}}, "grid.dropout.0"),
        ({**GRID, "grid": {"dropout": []}}, "grid.dropout"),
        ({**GRID, "base": {"method": "magic"}}, "base.method"),
        ({**GRID, "seeds": [1, 1]}, "seeds.1"),
        ({**GRID, "seeds": [-1]}, "seeds.0"),
        ({**GRID, "grid": {"iterations": list(range(1, 2002))}}, "grid.iterations"),
        ({**GRID, "grid": {"iterations": list(range(1, 1002)), "dropout": [0.1, 0.2]}}, "grid"),
        ({**GRID, "colour": "blue"}, "colour"),
    ],
)
async def test_what_is_no_study_is_refused_by_its_path(
    client: httpx.AsyncClient, seeds: Seeds, order: dict[str, Any], path: str
) -> None:
    answer = await client.post("/v1/studies", json=order)

    assert answer.status_code == 422, answer.text
    assert [error["path"] for error in answer.json()["errors"]] == [path]
    assert (count(seeds, Study), count(seeds, Job)) == (0, 0)


async def test_racing_submissions_under_one_key_make_one_study(client: httpx.AsyncClient, seeds: Seeds) -> None:
    key = {"Idempotency-Key": "race"}
    answers = await asyncio.gather(*(client.post("/v1/studies", json=SEEDED, headers=key) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (count(seeds, Study), count(seeds, Job), count(seeds, JobEvent)) == (1, 4, 4)


async def test_key_of_another_submission_is_refused(client: httpx.AsyncClient, seeds: Seeds) -> None:
    key = {"Idempotency-Key": "k1"}
    await client.post("/v1/studies", json=SEEDED, headers=key)
    answer = await client.post("/v1/studies", json={**SEEDED, "fresh": True}, headers=key)

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/idempotency-key-reused")
    assert count(seeds, Study) == 1


async def test_run_that_succeeded_is_taken_over_unless_asked_not_to(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    first = await submitted(client)
    done, failed, *_ = jobs_of(seeds, first)
    finish(seeds, done, {"clean_loss": 1.0})
    finish(seeds, failed)
    second = await submitted(client)
    fresh = await submitted(client, **SEEDED, fresh=True)

    assert (second.reused, second.states) == (1, {"succeeded": 1, "queued": 3})
    assert set(jobs_of(seeds, second)) & set(jobs_of(seeds, first)) == {done}
    assert (fresh.reused, fresh.states) == (0, {"queued": 4})
    assert (await client.get(f"/v1/jobs/{done}")).json()["study_id"] == str(first.id)


async def test_study_of_nothing_but_reused_runs_is_there_at_once(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    for job_id in jobs_of(seeds, await submitted(client)):
        finish(seeds, job_id, {"clean_loss": 1.0})
    before = count(seeds, Job)
    again = await submitted(client)

    assert (again.state, again.reused, again.progress) == ("succeeded", 4, 1.0)
    assert count(seeds, Job) == before


async def test_runs_of_others_are_not_taken_over(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    for job_id in jobs_of(seeds, await submitted(client)):
        finish(seeds, job_id, {"clean_loss": 1.0})
    student = seeds.user("sam", Role.STUDENT)
    answer = await client.post("/v1/studies", json=SEEDED, headers=student.headers)

    assert answer.json()["reused"] == 0


async def test_comparison_has_statistics_and_names_the_runs_to_know_of(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client)
    first, second, collapsed, failed = jobs_of(seeds, study)
    finish(seeds, first, {"clean_loss": 1.0, "curve": list(range(100))})
    finish(seeds, second, {"clean_loss": 3.0})
    finish(seeds, collapsed, {"clean_loss": 9.0, "collapsed": True})
    finish(seeds, failed)
    found = await read(client, study)
    one, other = found.comparison

    assert found.state == "failed"
    assert found.progress == 1.0
    assert one.fields["clean_loss"].model_dump() == {"mean": 2.0, "sd": 2**0.5, "min": 1.0, "max": 3.0, "n": 2}
    assert [run.job_id for run in other.collapsed] == [collapsed]
    assert [(run.job_id, run.seed, run.why) for run in other.failed] == [(failed, 1, "error: it broke")]


async def test_unchanged_study_is_not_sent_again(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client)
    tag = (await client.get(f"/v1/studies/{study.id}")).headers["etag"]
    unchanged = await client.get(f"/v1/studies/{study.id}", headers={"If-None-Match": tag})
    seeds.run(jobs_of(seeds, study)[2])
    changed = await client.get(f"/v1/studies/{study.id}", headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (changed.status_code, changed.json()["states"]) == (200, {"queued": 3, "running": 1})


async def test_held_read_answers_when_a_run_changes(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client)
    tag = (await client.get(f"/v1/studies/{study.id}")).headers["etag"]
    held = asyncio.create_task(client.get(f"/v1/studies/{study.id}?wait=20", headers={"If-None-Match": tag}))
    await asyncio.to_thread(seeds.lease, jobs_of(seeds, study)[0])
    async with asyncio.timeout(10):
        answer = await held

    assert (answer.status_code, answer.json()["states"]) == (200, {"queued": 3, "leased": 1})


async def test_studies_are_their_owners(client: httpx.AsyncClient, seeds: Seeds) -> None:
    ann, bob = (seeds.user(name, Role.STUDENT) for name in ("ann", "bob"))
    study = StudyRead.model_validate_json((await client.post("/v1/studies", json=SEEDED, headers=ann.headers)).content)
    address = f"/v1/studies/{study.id}"
    refused = [
        await client.get(address, headers=bob.headers),
        await client.get(f"{address}/report", headers=bob.headers),
        await client.post(f"{address}/cancel", headers=bob.headers),
        await client.post(f"{address}/retry", headers=bob.headers),
        await client.post(f"{address}/seeds", headers=bob.headers, json={"seeds": [1]}),
    ]

    assert {(answer.status_code, answer.json()["type"]) for answer in refused} == {(404, "/problems/study-not-found")}
    assert (await client.get("/v1/studies", headers=bob.headers)).json()["items"] == []
    assert (await client.get(address)).status_code == 200


async def test_pages_follow_each_other_newest_first(client: httpx.AsyncClient) -> None:
    made = [(await submitted(client, **GRID, name=f"s{number}")).id for number in range(3)]
    first = StudyPage.model_validate_json((await client.get("/v1/studies?limit=2")).content)
    second = StudyPage.model_validate_json(
        (await client.get("/v1/studies", params={"limit": 2, "cursor": first.next_cursor or ""})).content
    )

    assert [item.id for item in (*first.items, *second.items)] == made[::-1]
    assert (second.next_cursor, first.items[0].runs, first.items[0].states) == (None, 2, {"queued": 2})


async def test_report_waits_for_the_runs_and_is_made_once(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    seeds.node()
    study = await submitted(client, **GRID)
    address = f"/v1/studies/{study.id}/report"
    early = await client.get(address)
    for job_id in jobs_of(seeds, study):
        finish(seeds, job_id, {"clean_loss": 1.0})
    assert (await read(client, study)).report_job_id is None
    answers = await asyncio.gather(*(client.get(address) for _ in range(4)))
    bodies = [StudyReportRead.model_validate_json(answer.content) for answer in answers]
    job = (await client.get(f"/v1/jobs/{bodies[0].report_job_id}")).json()

    assert (early.status_code, early.json()["state"], early.json()["unfinished"]) == (202, "waiting", 2)
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(202, "2")}
    assert len({body.report_job_id for body in bodies}) == 1
    assert (await read(client, study)).report_job_id == bodies[0].report_job_id
    listed = {one["experiment"] for one in (await client.get("/v1/jobs")).json()["items"]}
    assert "study-report" not in listed, "a report is none of one's runs"
    reports = (await client.get("/v1/jobs", params={"experiment": "study-report"})).json()["items"]
    assert [one["id"] for one in reports] == [str(bodies[0].report_job_id)]
    assert (job["experiment"], job["priority"], job["study_id"]) == ("study-report", "high", None)
    assert [outcome["result"] for outcome in job["spec"]["outcomes"]] == [{"clean_loss": 1.0}] * 2
    assert count(seeds, Job) == 3
    assert (await read(client, study)).runs == 2
    renamed = await client.patch(f"/v1/jobs/{jobs_of(seeds, study)[0]}", json={"name": "the best one"})
    assert renamed.status_code == 200
    again = StudyReportRead.model_validate_json((await client.get(address)).content)
    assert again.report_job_id == bodies[0].report_job_id, "a name of a run is not in the report"


async def test_report_is_a_page_without_scripts_and_new_after_a_retry(
    client: httpx.AsyncClient, seeds: Seeds, app: Any
) -> None:
    seeds.node()
    study = await submitted(client, **GRID)
    good, bad = jobs_of(seeds, study)
    finish(seeds, good, {"clean_loss": 1.0})
    finish(seeds, bad)
    address = f"/v1/studies/{study.id}/report"
    rendering = UUID((await client.get(address)).json()["report_job_id"])
    page = b"<!doctype html><p>found</p>"
    seeds.artifact(rendering, "report.html", f"{rendering}/1/report.html", page, "ab" * 32)
    await app.state.app.store.put_async(f"{rendering}/1/report.html", page)
    finish(seeds, rendering, {"runs": 2})
    answer = await client.get(address)
    tagged = await client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    missing = await client.get(f"{address}?format=md")
    await client.post(f"/v1/studies/{study.id}/retry")
    after = await client.get(address)

    assert (answer.status_code, answer.content) == (200, page)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]
    assert tagged.status_code == 304
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/artifact-not-found")
    assert (after.status_code, after.json()["state"]) == (202, "waiting")


async def test_report_that_failed_is_said_and_made_anew_after_a_retry(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client, **GRID)
    for job_id in jobs_of(seeds, study):
        finish(seeds, job_id, {"clean_loss": 1.0})
    address = f"/v1/studies/{study.id}/report"
    broken = UUID((await client.get(address)).json()["report_job_id"])
    finish(seeds, broken)
    refused = await client.get(address)
    await client.post(f"/v1/studies/{study.id}/retry")
    again = (await client.get(address)).json()

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/report-failed")
    assert "it broke" in refused.json()["detail"]
    assert (again["state"], again["report_job_id"] == str(broken)) == ("rendering", False)


async def test_whole_homework_is_submitted_at_once(client: httpx.AsyncClient, seeds: Seeds) -> None:
    study = await submitted(client, template="course/all", scale="smoke")

    assert study.runs == len(jobs_of(seeds, study)) == count(seeds, Job) > 30
    assert len(json.dumps(study.model_dump(mode="json"))) < 1_000_000
    with seeds.engine.begin() as connection:
        connection.execute(update(Job).values(priority="low"))
    assert {question.question for question in study.questions} >= {"course/1a", "course/5c"}


async def test_many_readers_of_a_study_share_one_comparison(
    client: httpx.AsyncClient, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds.node()
    study = await submitted(client)
    compared = []
    monkeypatch.setattr(study_reading, "compare", lambda runs: compared.append(len(runs)) or [])
    path = f"/v1/studies/{study.id}"
    seeds.lease(jobs_of(seeds, study)[0])
    answers = await asyncio.gather(*(client.get(path) for _ in range(30)))
    again = [await client.get(path) for _ in range(3)]
    assert {answer.json()["states"]["leased"] for answer in (*answers, *again)} == {1}
    assert compared == [4]
    seeds.lease(jobs_of(seeds, study)[1])
    assert (await client.get(path)).json()["states"]["leased"] == 2
    assert compared == [4, 4]
