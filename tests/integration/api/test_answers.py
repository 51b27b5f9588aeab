"""Answers are held back from students of an open assignment, at every door, and from nobody else."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, update

from gpulab.states import Role
from models import Artifact, Assignment, Study
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish

RESULT = {"slope": 1.0, "sheet_exponent": 0.5, "growth": [{"side": 8, "sheet": 2.0}]}
STRIPPED = {"slope": 1.0, "growth": [{"side": 8}]}
LATER = datetime.now(UTC) + timedelta(days=3)


@pytest.fixture
def ann(seeds: Seeds) -> SeededUser:
    seeds.node()
    return seeds.user("ann", Role.STUDENT)


@pytest.fixture
async def homework(client: httpx.AsyncClient) -> str:
    order = {"name": "Homework", "deadline": LATER.isoformat(), "templates": ["course/3a"]}
    answer = await client.post("/v1/assignments", json=order)
    assert answer.status_code == 201, answer.text
    assert answer.json()["answers_after_deadline"] is True
    identifier: str = answer.json()["id"]
    return identifier


def end(seeds: Seeds, assignment: str) -> None:
    """Let the deadline pass."""
    with seeds.engine.begin() as connection:
        moved = update(Assignment).where(Assignment.id == UUID(assignment))
        connection.execute(moved.values(deadline=datetime.now(UTC) - timedelta(seconds=1)))


def ran(seeds: Seeds, owner: SeededUser, result: dict[str, Any] | None = None, **values: Any) -> UUID:
    job_id = seeds.job(owner, **{"experiment": "conv-gradients", **values})
    finish(seeds, job_id, result or RESULT)
    return job_id


def keep(seeds: Seeds, job_id: UUID, name: str, media: str) -> None:
    values = {"job_id": job_id, "attempt": 1, "name": name, "key": "nowhere", "size_bytes": 0}
    with seeds.engine.begin() as connection:
        connection.execute(insert(Artifact).values(**values, sha256="0" * 64, media_type=media))


async def test_result_has_no_answers_until_the_deadline(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    path = f"/v1/jobs/{ran(seeds, ann)}"
    before = await client.get(path, headers=ann.headers)
    of_staff = await client.get(path)
    assert (before.json()["result"], of_staff.json()["result"]) == (STRIPPED, RESULT)
    end(seeds, homework)
    after = await client.get(path, headers={**ann.headers, "If-None-Match": before.headers["etag"]})

    assert after.status_code == 200, "a client that knows the job gets it again after the deadline"
    assert after.json()["result"] == RESULT


async def test_switch_of_the_assignment_shows_answers_at_once(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    job_id = ran(seeds, ann)
    changed = await client.patch(f"/v1/assignments/{homework}", json={"answers_after_deadline": False})
    assert changed.json()["answers_after_deadline"] is False

    assert (await client.get(f"/v1/jobs/{job_id}", headers=ann.headers)).json()["result"] == RESULT


async def test_answers_of_other_experiments_are_shown(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    assert homework
    job_id = ran(seeds, ann, {"sheet": 1.0}, experiment="dropout-ridge")

    assert (await client.get(f"/v1/jobs/{job_id}", headers=ann.headers)).json()["result"] == {"sheet": 1.0}


async def test_extension_of_the_student_and_days_for_late_work_hold_answers_longer(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    job_id, ben = ran(seeds, ann), seeds.user("ben", Role.STUDENT)
    of_ben = ran(seeds, ben)
    later = (LATER + timedelta(days=9)).isoformat()
    path = f"/v1/assignments/{homework}/extensions"
    given = await client.post(path, json={"user_id": str(ann.id), "deadline": later})
    assert given.status_code == 200, given.text
    end(seeds, homework)

    async def result(who: SeededUser, job: UUID) -> Any:
        return (await client.get(f"/v1/jobs/{job}", headers=who.headers)).json()["result"]

    assert (await result(ann, job_id), await result(ben, of_ben)) == (STRIPPED, RESULT)
    await client.patch(f"/v1/assignments/{homework}", json={"late_days": 2})
    assert await result(ben, of_ben) == STRIPPED, "late work could be copied from the answers"


async def test_catalogue_says_nothing_of_the_answers(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    path = "/v1/experiments/conv-gradients"
    found = await client.get(path, headers=ann.headers)
    assert "sheet" not in found.text
    assert found.json()["summary"] == "The description is shown after the deadline of 'Homework'."
    assert "sheet_exponent" in (await client.get(path)).text
    items = (await client.get("/v1/experiments", headers=ann.headers)).json()["items"]
    listed = {one["slug"]: one["summary"] for one in items}
    assert listed["conv-gradients"] == found.json()["summary"]
    assert listed["dropout-ridge"].startswith("Checks")
    end(seeds, homework)
    assert "sheet_exponent" in (await client.get(path, headers=ann.headers)).text


async def test_metrics_and_figures_of_a_run_are_without_answers(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    assert homework
    job_id = ran(seeds, ann)
    for metric in ("variance", "sheet_variance"):
        seeds.metric(job_id, metric, [0, 1], [1.0, 2.0])
    keep(seeds, job_id, "growth.png", "image/png")
    keep(seeds, job_id, "weights.pt", "application/octet-stream")
    path = f"/v1/jobs/{job_id}"
    metrics = (await client.get(f"{path}/metrics", headers=ann.headers)).json()
    assert ([one["name"] for one in metrics["series"]], metrics["names"]) == (["variance"], ["variance"])
    asked = (await client.get(f"{path}/metrics?names=sheet_variance", headers=ann.headers)).json()
    assert asked["series"] == []
    files = (await client.get(f"{path}/artifacts", headers=ann.headers)).json()["items"]
    assert [one["name"] for one in files] == ["weights.pt"]
    refused = await client.get(f"{path}/artifacts/growth.png", headers=ann.headers)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/answers-held-back")
    assert "'Homework'" in refused.json()["detail"]
    assert len((await client.get(f"{path}/artifacts")).json()["items"]) == 2


async def test_report_that_was_made_before_is_refused_at_every_door(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    order = {"template": "course/3", "scale": "smoke"}
    made = await client.post("/v1/studies", json=order, headers=ann.headers)
    assert made.status_code == 201, made.text
    study = made.json()["id"]
    outcomes = [{"experiment": "conv-gradients", "result": RESULT}]
    spec = {"title": "Report", "questions": ["course/3a"], "outcomes": outcomes}
    report = ran(seeds, ann, {"verdicts": {"sheet_is_wrong": 3}}, experiment="study-report", spec=spec)
    keep(seeds, report, "findings.json", "application/json")
    with seeds.engine.begin() as connection:
        connection.execute(update(Study).where(Study.id == UUID(study)).values(report_job_id=report))
    doors = (
        *(f"/v1/studies/{study}/report?format={form}" for form in ("html", "md", "json")),
        f"/v1/jobs/{report}/artifacts/findings.json",
        f"/v1/jobs/{report}/logs",
    )
    for door in doors:
        refused = await client.get(door, headers=ann.headers)
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/answers-held-back"), door
    again = (await client.post(f"/v1/jobs/{report}/retry", headers=ann.headers)).json()
    assert (again["spec"], again["retry_of"]) == ({"title": "Report"}, str(report))
    job = (await client.get(f"/v1/jobs/{report}", headers=ann.headers)).json()
    assert (job["spec"], job["result"]) == ({"title": "Report"}, None)
    assert (await client.get(f"/v1/jobs/{report}/artifacts", headers=ann.headers)).json()["items"] == []
    assert (await client.get(f"/v1/jobs/{report}")).json()["spec"]["outcomes"] == outcomes
    end(seeds, homework)
    for door in doors:
        assert (await client.get(door, headers=ann.headers)).status_code != 403, door


async def test_comparison_of_a_study_is_without_answers_also_where_it_was_shared(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    ben = seeds.user("ben", Role.STUDENT)
    order = {"experiment": "conv-gradients", "grid": {"steps": [5]}, "seeds": [0]}
    made = await client.post("/v1/studies", json=order, headers=ben.headers)
    assert made.status_code == 201, made.text
    path = f"/v1/studies/{made.json()['id']}"
    for job in (await client.get(f"/v1/jobs?study={made.json()['id']}")).json()["items"]:
        finish(seeds, UUID(job["id"]), RESULT)
    await client.post(f"{path}/share", json={"audience": "class"}, headers=ben.headers)
    found = await client.get(path, headers=ann.headers)
    assert [list(cell["fields"]) for cell in found.json()["comparison"]] == [["slope"]]
    assert "sheet_exponent" in (await client.get(path)).json()["comparison"][0]["fields"]
    effects = await client.get(f"{path}/effects", headers=ann.headers)
    assert effects.json()["known_results"] == ["slope"]
    asked = {"result": "sheet_exponent"}
    assert (await client.get(f"{path}/effects", params=asked, headers=ann.headers)).status_code == 422
    assert (await client.get(f"{path}/effects", params=asked)).json()["results"] == ["sheet_exponent"]
    end(seeds, homework)
    again = await client.get(path, headers={**ann.headers, "If-None-Match": found.headers["etag"]})
    assert "sheet_exponent" in again.json()["comparison"][0]["fields"]


async def grid(
    client: httpx.AsyncClient, seeds: Seeds, owner: SeededUser, experiment: str, spec: dict[str, Any]
) -> str:
    """A finished study of one run, without any installed question."""
    order = {"experiment": experiment, "seeds": [0], **spec}
    made = await client.post("/v1/studies", json=order, headers=owner.headers)
    assert made.status_code == 201, made.text
    for job in (await client.get(f"/v1/jobs?study={made.json()['id']}")).json()["items"]:
        finish(seeds, UUID(job["id"]), RESULT)
    study: str = made.json()["id"]
    return study


async def test_report_of_a_grid_is_held_back_like_its_runs(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    study = await grid(client, seeds, ann, "conv-gradients", {"grid": {"steps": [5]}})
    outcomes = [{"experiment": "conv-gradients", "result": RESULT}]
    spec = {"title": "Grid", "questions": [], "outcomes": outcomes}
    report = ran(seeds, ann, experiment="study-report", spec=spec)
    keep(seeds, report, "findings.json", "application/json")
    doors = (
        *(f"/v1/studies/{study}/report?format={form}" for form in ("html", "md", "json")),
        f"/v1/jobs/{report}/artifacts/findings.json",
        f"/v1/jobs/{report}/logs",
    )
    for door in doors:
        refused = await client.get(door, headers=ann.headers)
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/answers-held-back"), door
    assert (await client.get(f"/v1/jobs/{report}", headers=ann.headers)).json()["spec"] == {"title": "Grid"}
    end(seeds, homework)
    for door in doors:
        assert (await client.get(door, headers=ann.headers)).status_code != 403, door


async def test_report_of_a_grid_without_answers_is_shown(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser
) -> None:
    assignment = {"name": "Training", "deadline": LATER.isoformat(), "experiments": ["model-memory"]}
    made = await client.post("/v1/assignments", json=assignment)
    assert made.status_code == 201, made.text
    study = await grid(client, seeds, ann, "model-memory", {"grid": {"batch_size": [8]}})
    answer = await client.get(f"/v1/studies/{study}/report", headers=ann.headers)
    assert answer.status_code == 202, answer.text


async def test_study_is_shown_whole_after_its_deadline_while_another_assignment_is_open(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    other = {"name": "Next", "deadline": LATER.isoformat(), "experiments": ["dropout-ridge"]}
    assert (await client.post("/v1/assignments", json=other)).status_code == 201
    path = f"/v1/studies/{await grid(client, seeds, ann, 'conv-gradients', {'grid': {'steps': [5]}})}"
    before = await client.get(path, headers=ann.headers)
    end(seeds, homework)
    after = await client.get(path, headers={**ann.headers, "If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert "sheet_exponent" in after.json()["comparison"][0]["fields"]


async def test_reader_of_metrics_without_answers_goes_on_where_it_was(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser, homework: str
) -> None:
    assert homework
    job_id = ran(seeds, ann)
    for metric in ("variance", "sheet_variance"):
        seeds.metric(job_id, metric, [0, 1], [1.0, 2.0])
    path = f"/v1/jobs/{job_id}/metrics"
    first = (await client.get(path, headers=ann.headers)).json()
    for metric in ("variance", "sheet_variance"):
        seeds.metric(job_id, metric, [2], [3.0])
    newer = (await client.get(f"{path}?after={first['cursor']}", headers=ann.headers)).json()
    assert not newer["whole"]
    assert [(one["name"], one["values"]) for one in newer["series"]] == [("variance", [3.0])]
