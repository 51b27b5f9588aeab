"""Submitting, reading, listing, cancelling and retrying over HTTP."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from gpulab.schemas import DryRunRead, EventPage, JobPage, JobRead, LabQueueRead, QueueRead
from gpulab.states import FailureCause, JobState, Role, WaitReason
from models import Job
from tests.integration.api.seeds import ORDER, SeededUser, Seeds


async def submitted(client: httpx.AsyncClient, **changes: object) -> JobRead:
    answer = await client.post("/v1/jobs", json={**ORDER, **changes})
    assert answer.status_code == 201, answer.text
    return JobRead.model_validate_json(answer.content)


async def test_submission_stores_the_spec_with_its_defaults(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs", json={**ORDER, "seed": 7, "name": " mine ", "tags": ["a", "b"]})

    job = JobRead.model_validate_json(answer.content)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/jobs/{job.id}"
    assert job.spec["dropout"] == 0.5
    assert job.spec["iterations"] == 1000
    assert (job.state, job.owner, job.seed, job.name, job.tags) == ("queued", "admin", 7, "mine", ["a", "b"])
    assert (job.gpus, job.exclusive, job.time_limit_seconds) == (0, False, 600)


async def test_answer_to_a_submission_is_what_is_read_afterwards(client: httpx.AsyncClient) -> None:
    job = await submitted(client, priority="high", time_limit_seconds=5)

    assert JobRead.model_validate_json((await client.get(f"/v1/jobs/{job.id}")).content) == job


async def test_dry_run_fills_in_and_stores_nothing(client: httpx.AsyncClient, seeds: Seeds) -> None:
    answer = await client.post("/v1/jobs?dry_run=true", json=ORDER)

    found = DryRunRead.model_validate_json(answer.content)
    assert answer.status_code == 200
    assert (found.spec["dropout"], found.spec["batch_size"]) == (0.5, 1)
    assert seeds.state_of_everything() == ((), 0, ())


async def test_same_key_and_body_give_the_first_job(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await client.post("/v1/jobs", json=ORDER, headers=key)
    # Another spelling of the same order is the same order.
    reordered = json.dumps(dict(reversed(ORDER.items())), indent=2)
    second = await client.post("/v1/jobs", content=reordered, headers=key | {"Content-Type": "application/json"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


async def test_same_key_with_another_body_is_refused(client: httpx.AsyncClient, seeds: Seeds) -> None:
    key = {"Idempotency-Key": "k1"}
    await client.post("/v1/jobs", json=ORDER, headers=key)
    before = seeds.state_of_everything()
    answer = await client.post("/v1/jobs", json={**ORDER, "seed": 1}, headers=key)

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/idempotency-key-reused")
    assert seeds.state_of_everything() == before


async def test_a_key_belongs_to_its_owner(client: httpx.AsyncClient, seeds: Seeds) -> None:
    key = {"Idempotency-Key": "k1"}
    student = seeds.user("sam", Role.STUDENT)
    mine = await client.post("/v1/jobs", json=ORDER, headers=key)
    theirs = await client.post("/v1/jobs", json=ORDER, headers=key | student.headers)

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


async def test_racing_submissions_under_one_key_make_one_job(client: httpx.AsyncClient, seeds: Seeds) -> None:
    key = {"Idempotency-Key": "race"}
    answers = await asyncio.gather(*(client.post("/v1/jobs", json=ORDER, headers=key) for _ in range(12)))

    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    with seeds.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(Job)).scalar_one() == 1


async def test_unchanged_job_is_not_sent_again(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    job = await submitted(client)
    tag = (await client.get(f"/v1/jobs/{job.id}")).headers["etag"]
    unchanged = await client.get(f"/v1/jobs/{job.id}", headers={"If-None-Match": tag})
    seeds.run(job.id)
    changed = await client.get(f"/v1/jobs/{job.id}", headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    assert (changed.status_code, changed.json()["state"]) == (200, "running")
    assert changed.headers["etag"] != tag


async def test_etag_of_another_job_never_matches(client: httpx.AsyncClient) -> None:
    first, second = await submitted(client), await submitted(client)
    tag = (await client.get(f"/v1/jobs/{first.id}")).headers["etag"]
    answer = await client.get(f"/v1/jobs/{second.id}", headers={"If-None-Match": f'"x", {tag}'})

    assert answer.status_code == 200


async def test_pages_follow_each_other_newest_first(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    made = [seeds.job(admin) for _ in range(5)]
    seen: list[UUID] = []
    cursor = None
    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = JobPage.model_validate_json((await client.get("/v1/jobs", params=query)).content)
        seen += [item.id for item in page.items]
        cursor = page.next_cursor

    assert seen == made[::-1]
    assert cursor is None


async def test_filters_pick_jobs(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    seeds.node()
    sam = seeds.user("sam", Role.STUDENT)
    plain = seeds.job(admin, tags=["x", "y"], name="100% sure")
    running = seeds.job(admin, experiment="conv-gradients")
    seeds.run(running)
    sams = seeds.job(sam, tags=["x"])

    async def found(**query: object) -> set[str]:
        return {item["id"] for item in (await client.get("/v1/jobs", params=query)).json()["items"]}

    assert await found(state="running") == {str(running)}
    assert await found(state=["running", "queued"]) == {str(plain), str(running), str(sams)}
    assert await found(experiment="conv-gradients") == {str(running)}
    assert await found(owner="sam") == {str(sams)}
    assert await found(tag="x") == {str(plain), str(sams)}
    assert await found(text="0% S") == {str(plain)}
    assert await found(text="%") == {str(plain)}
    assert await found(tag="nobody") == set()


async def test_search_goes_on_where_a_page_stopped_looking(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.listing.service.SEARCHED", 2)
    made = [seeds.job(admin, name=name) for name in ("needle 1", "straw", "needle 2", "straw", "straw")]
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"text": "needle", "limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/jobs", params=query)).json()
        pages.append([item["id"] for item in page["items"]])
        cursor = page["next_cursor"]
    assert pages == [[], [str(made[2])], [str(made[0])]]


async def test_list_answers_304_until_something_changes(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    seeds.job(admin)
    tag = {"If-None-Match": (await client.get("/v1/jobs")).headers["etag"]}
    same = await client.get("/v1/jobs", headers=tag)
    seeds.job(admin)

    assert same.status_code == 304
    assert (await client.get("/v1/jobs", headers=tag)).status_code == 200


async def test_students_see_only_their_own_jobs(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    sam = seeds.user("sam", Role.STUDENT)
    mine, theirs = seeds.job(sam), seeds.job(admin)
    before = seeds.state_of_everything()
    listed = await client.get("/v1/jobs", headers=sam.headers)

    assert [item["id"] for item in listed.json()["items"]] == [str(mine)]
    assert (await client.get("/v1/jobs?owner=admin", headers=sam.headers)).json()["items"] == []
    for method, path in [
        ("GET", ""),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        *(("GET", f"/{part}") for part in ("metrics", "samples", "logs", "events", "artifacts", "queue", "stream")),
        ("GET", "/artifacts/plot.png"),
    ]:
        hidden = await client.request(method, f"/v1/jobs/{theirs}{path}", headers=sam.headers)
        assert (hidden.status_code, hidden.json()["type"]) == (404, "/problems/job-not-found"), path
    assert seeds.state_of_everything() == before


async def test_cancelling_a_waiting_job_ends_it_and_repeating_changes_nothing(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    job_id = seeds.job(admin)
    first = await client.post(f"/v1/jobs/{job_id}/cancel")
    after = seeds.state_of_everything()
    second = await client.post(f"/v1/jobs/{job_id}/cancel")

    assert (first.status_code, first.json()["state"]) == (202, "cancelled")
    assert (second.status_code, second.json()) == (202, first.json())
    assert seeds.state_of_everything() == after


async def test_cancelling_a_running_job_asks_its_worker(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    seeds.node()
    job_id = seeds.job(admin)
    seeds.run(job_id)
    answer = await client.post(f"/v1/jobs/{job_id}/cancel")

    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert answer.json()["cancel_requested_at"] is not None


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
async def test_finished_job_cannot_be_cancelled(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, state: JobState
) -> None:
    seeds.node()
    job_id = seeds.job(admin)
    seeds.run(job_id)
    seeds.finish(job_id, state, FailureCause.ERROR if state is JobState.FAILED else None)
    before = seeds.state_of_everything()
    answer = await client.post(f"/v1/jobs/{job_id}/cancel")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-already-finished")
    assert seeds.state_of_everything() == before


async def test_retry_repeats_the_order_of_a_final_job(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    seeds.node()
    job_id = seeds.job(admin, spec={"dropout": 0.25}, seed=3, tags=["t"], priority="low", name="n")
    early = await client.post(f"/v1/jobs/{job_id}/retry")
    seeds.run(job_id)
    seeds.finish(job_id, JobState.FAILED, FailureCause.ERROR)
    answer = await client.post(f"/v1/jobs/{job_id}/retry")

    assert (early.status_code, early.json()["type"]) == (409, "/problems/job-not-finished")
    again = JobRead.model_validate_json(answer.content)
    assert answer.status_code == 201
    assert (again.state, again.retry_of, again.attempt) == ("queued", job_id, 0)
    assert (again.spec, again.seed, again.tags, again.priority, again.name) == ({"dropout": 0.25}, 3, ["t"], "low", "n")
    assert answer.headers["location"] == f"/v1/jobs/{again.id}"


async def test_history_pages_in_order(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    seeds.node()
    job_id = seeds.job(admin)
    seeds.run(job_id)
    seeds.finish(job_id)
    first = EventPage.model_validate_json((await client.get(f"/v1/jobs/{job_id}/events?limit=3")).content)
    rest = await client.get(f"/v1/jobs/{job_id}/events", params={"limit": 3, "cursor": first.next_cursor})

    types = [event.type for event in first.items] + [event["type"] for event in rest.json()["items"]]
    assert types == ["job.submitted", "job.leased", "job.started", "job.succeeded"]
    assert rest.json()["next_cursor"] is None


async def test_queue_tells_place_and_reason(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    seeds.node()
    first, second = seeds.job(admin), seeds.job(admin)
    seeds.describe(second, wait_reason="no_free_slot", message="both slots of node-1 are taken")
    waiting = QueueRead.model_validate_json((await client.get(f"/v1/jobs/{second}/queue")).content)
    seeds.run(first)
    running = QueueRead.model_validate_json((await client.get(f"/v1/jobs/{first}/queue")).content)

    assert (waiting.position, waiting.reason) == (2, "no_free_slot")
    assert waiting.explanation == "both slots of node-1 are taken"
    assert (running.position, running.reason, running.state) == (None, "not_waiting", "running")


async def test_unknown_job_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/v1/jobs/{uuid4()}")

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_queue_place_respects_use_and_says_what_would_help(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    seeds.node()
    heavy, light = seeds.user("heavy", Role.STUDENT), seeds.user("light", Role.STUDENT)
    older = seeds.job(heavy, gpus=1)
    newer = seeds.job(light, gpus=1)
    seeds.tell(older, WaitReason.NO_FREE_GPU, "every GPU is taken", used={heavy.id: 900.0, light.id: 1.0})

    async def asked(job_id: UUID) -> QueueRead:
        return QueueRead.model_validate_json((await client.get(f"/v1/jobs/{job_id}/queue")).content)

    assert ((await asked(older)).position, (await asked(newer)).position) == (2, 1)
    assert any("gpu_memory_bytes" in advice for advice in (await asked(older)).would_help)
    urgent = seeds.job(heavy, priority="high")
    assert ((await asked(urgent)).position, (await asked(newer)).position) == (1, 2)


async def test_queue_of_the_lab_counts_everybody_and_names_nobody(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    seeds.node()
    sam, ursula = (seeds.user(name, Role.STUDENT) for name in ("sam", "ursula"))
    for _ in range(3):
        # Nothing is promised: the pace of the starts says when.
        seeds.run(seeds.job(ursula, name="secret"))
    seeds.job(ursula, name="secret")
    seeds.job(sam, name="later")
    urgent = seeds.job(sam, name="urgent", priority="high")
    answer = await client.get("/v1/queue", headers=sam.headers)
    found = LabQueueRead.model_validate_json(answer.content)

    assert (found.running, found.waiting, found.users_waiting) == (3, 3, 2)
    assert (found.your_running, found.your_waiting, found.started_last_hour) == (0, 2, 3)
    assert found.next is not None
    assert (found.next.job_id, found.next.name, found.next.position) == (urgent, "urgent", 1)
    assert found.next.estimated_start_at is not None
    assert datetime.now(UTC) - found.next.estimated_start_at < timedelta(minutes=1)
    assert [word for word in ("ursula", "secret", str(ursula.id)) if word in answer.text] == []
    place = QueueRead.model_validate_json((await client.get(f"/v1/jobs/{urgent}/queue", headers=sam.headers)).content)
    assert place.estimated_start_at is not None


async def test_queue_of_the_lab_promises_nothing_where_nothing_is_known(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    seeds.node()
    empty = LabQueueRead.model_validate_json((await client.get("/v1/queue")).content)
    seeds.job(admin)
    waiting = LabQueueRead.model_validate_json((await client.get("/v1/queue")).content)

    assert (empty.running, empty.waiting, empty.next) == (0, 0, None)
    assert waiting.next is not None
    assert (waiting.next.position, waiting.next.estimated_start_at) == (1, None)


async def test_name_and_tags_are_changed_in_any_state_and_what_is_left_out_stays(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    job = seeds.job(admin, name="first", tags=["a", "b"])
    seeds.node()
    seeds.run(job)
    seeds.finish(job)
    before = (await client.get(f"/v1/jobs/{job}")).headers["etag"]

    renamed = await client.patch(f"/v1/jobs/{job}", json={"name": "second"})
    assert (renamed.json()["name"], renamed.json()["tags"]) == ("second", ["a", "b"])
    tagged = await client.patch(f"/v1/jobs/{job}", json={"tags": ["c"]})
    assert (tagged.json()["name"], tagged.json()["tags"]) == ("second", ["c"])
    cleared = await client.patch(f"/v1/jobs/{job}", json={"name": None, "tags": []})
    assert (cleared.json()["name"], cleared.json()["tags"]) == (None, [])
    assert cleared.json()["state"] == "succeeded"
    assert (await client.get(f"/v1/jobs/{job}")).headers["etag"] != before


@pytest.mark.parametrize(
    ("body", "field"),
    [({"tags": ["x"] * 21}, "tags"), ({"name": "two\nlines"}, "name"), ({"state": "failed"}, "state")],
)
async def test_labels_that_a_submission_could_not_have_are_refused(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, body: dict[str, object], field: str
) -> None:
    job = seeds.job(admin, name="kept")
    answer = await client.patch(f"/v1/jobs/{job}", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["detail"]
    assert (await client.get(f"/v1/jobs/{job}")).json()["name"] == "kept"
