"""The students of an assignment, all at once: the wall, and what staff do for many of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from gpulab.schemas.assignments import AssignmentRead
from gpulab.schemas.assignments.students import StudentsDone, WallRead
from gpulab.states import JobState, Role
from models import Job
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish
from tests.integration.api.test_assignments import LATER, assigned, pinned, ran

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.fixture
def users(seeds: Seeds) -> dict[str, SeededUser]:
    seeds.node()
    return {name: seeds.user(name, Role.STUDENT) for name in ("ann", "ben", "cat", "dan")}


async def wall(client: httpx.AsyncClient, assignment: AssignmentRead, **query: str) -> WallRead:
    answer = await client.get(f"/v1/assignments/{assignment.id}/students", params=query)
    assert answer.status_code == 200, answer.text
    return WallRead.model_validate_json(answer.content)


async def act(
    client: httpx.AsyncClient, assignment: AssignmentRead, action: str, who: list[Any], **body: Any
) -> StudentsDone:
    ids = [str(one.id if isinstance(one, SeededUser) else one) for one in who]
    answer = await client.post(f"/v1/assignments/{assignment.id}/students/{action}", json={"user_ids": ids, **body})
    assert answer.status_code == 200, answer.text
    return StudentsDone.model_validate_json(answer.content)


def reasons(done: StudentsDone) -> dict[str | None, str]:
    return {one.user: one.reason for one in done.not_done}


async def test_wall_has_one_tile_a_student_the_stuck_first_and_says_it_is_unchanged(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    ran(seeds, users["cat"], None)
    seeds.job(users["ben"])
    await client.patch(f"/v1/users/{users['ben'].id}", json={"section": "A", "team": "red"})
    found = await wall(client, homework)
    assert [(one.name, one.state, one.runs, one.unfinished) for one in found.students] == [
        ("cat", "stuck", 1, 0),
        ("ann", "not_started", 0, 0),
        ("dan", "not_started", 0, 0),
        ("ben", "working", 1, 1),
    ]
    assert found.states == {"stuck": 1, "not_started": 2, "working": 1}
    only = await wall(client, homework, section="A", state="stuck")
    assert (only.students, only.states) == ([], {"working": 1})
    assert [one.name for one in (await wall(client, homework, text="AN")).students] == ["ann", "dan"]
    assert [one.name for one in (await wall(client, homework, state="working", team="red")).students] == ["ben"]

    path = f"/v1/assignments/{homework.id}/students"
    tag = (await client.get(path)).headers["etag"]
    assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 304
    assert (await client.get(path, headers=users["ann"].headers)).status_code == 403


async def test_extension_of_many_never_takes_time_away(client: httpx.AsyncClient, users: dict[str, SeededUser]) -> None:
    homework = await assigned(client, deadline=TOMORROW)
    path = f"/v1/assignments/{homework.id}/extensions"
    for who, deadline in (("ann", "2100-01-01T00:00:00Z"), ("ben", "2090-01-01T00:00:00Z")):
        await client.post(path, json={"user_id": str(users[who].id), "deadline": deadline})
    unknown = uuid4()
    done = await act(
        *(client, homework, "extend", [users["ann"], users["ben"], users["cat"], users["cat"], unknown]),
        deadline="2095-01-01T00:00:00Z",
        reason="the network was down",
    )
    assert (done.done, reasons(done)) == (2, {"ann": "has a later deadline already", None: "no student has this id"})
    assert done.not_done[-1].user_id == unknown
    found = {one["user"]: one["deadline"] for one in (await client.get(path)).json()["items"]}
    assert found == {
        "ann": "2100-01-01T00:00:00Z",
        "ben": "2095-01-01T00:00:00Z",
        "cat": "2095-01-01T00:00:00Z",
    }
    early = {"user_ids": [str(users["dan"].id)], "deadline": "2001-01-01"}
    refused = await client.post(f"/v1/assignments/{homework.id}/students/extend", json=early)
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "deadline")


async def test_message_is_read_by_those_it_was_written_to_and_by_staff(
    client: httpx.AsyncClient, users: dict[str, SeededUser], admin: SeededUser
) -> None:
    homework = await assigned(client)
    done = await act(
        *(client, homework, "message", [users["ann"], users["cat"], admin]),
        text="Come to the office hours on Friday.",
        ends_at=TOMORROW,
    )
    assert (done.done, [one.user for one in done.not_done]) == (2, [None]), "an admin is no student"

    async def banners(who: SeededUser) -> list[tuple[str, int | None]]:
        items = (await client.get("/v1/banners", headers=who.headers)).json()["items"]
        return [(one["text"], one["readers"]) for one in items]

    text = "Come to the office hours on Friday."
    assert await banners(users["ann"]) == await banners(users["cat"]) == [(text, None)]
    assert await banners(users["ben"]) == []
    assert await banners(admin) == [(text, 2)]
    for wrong, field in (
        ({"text": " "}, "text"),
        ({"ends_at": "2001-01-01"}, "ends_at"),
        ({"user_ids": []}, "user_ids"),
    ):
        body = {"user_ids": [str(users["ann"].id)], "text": "Hello", "ends_at": TOMORROW, **wrong}
        answer = await client.post(f"/v1/assignments/{homework.id}/students/message", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["path"].split(".")[0]) == (422, field)


async def test_waiting_runs_that_count_are_cancelled_and_others_go_on(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    waiting = [seeds.job(users["ann"]), seeds.job(users["ann"])]
    running = seeds.job(users["ann"])
    with seeds.engine.begin() as connection:
        connection.execute(update(Job).where(Job.id == running).values(state=JobState.RUNNING.value))
    of_something_else = seeds.job(users["ann"], experiment="conv-gradients")
    of_somebody_else = seeds.job(users["dan"])
    finish(seeds, seeds.job(users["ben"]), {"loss": 1.0})
    done = await act(client, homework, "cancel-waiting", [users["ann"], users["ben"]])
    assert (done.done, done.runs, reasons(done)) == (1, 2, {"ben": "has no run that waits"})

    async def state(job_id: UUID) -> str:
        found: str = (await client.get(f"/v1/jobs/{job_id}")).json()["state"]
        return found

    assert [await state(one) for one in waiting] == ["cancelled"] * 2
    others = [await state(one) for one in (running, of_something_else, of_somebody_else)]
    assert others == ["running", "queued", "queued"]


async def test_check_of_many_says_who_has_handed_nothing_in(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    await pinned(client, homework, ran(seeds, users["ann"], {"loss": 1.0}), users["ann"])
    path = f"/v1/assignments/{homework.id}/students/check"
    refused = await client.post(path, json={"user_ids": [str(users["ann"].id)]})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/no-hidden-check")
    too_many = await client.post(path, json={"user_ids": [str(uuid4()) for _ in range(26)]})
    assert too_many.status_code == 422


async def test_work_on_an_assignment_is_a_filter_and_earlier_runs_are_apart(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    before = seeds.job(users["ann"], name="before")
    homework = await assigned(client)
    since = seeds.job(users["ann"], name="since")
    of_ben = seeds.job(users["ben"], name="of ben")
    seeds.job(users["ann"], experiment="conv-gradients")

    async def table(**query: str) -> list[str]:
        answer = await client.get("/v1/job-table", params={"work_on": str(homework.id), **query})
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    assert await table() == [str(of_ben), str(since)]
    assert await table(owner=str(users["ann"].id)) == [str(since)]
    assert await table(earlier="true") == [str(before)]
    assert await table(work_on=str(uuid4())) == []


async def test_studies_submissions_and_grades_are_searched_by_name(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client, templates=["course/1a"], deadline=LATER)
    for who in ("ann", "ben"):
        order = {"template": "course/1a", "scale": "smoke", "name": f"Study of {who}"}
        made = await client.post("/v1/studies", json=order, headers=users[who].headers)
        assert made.status_code == 201, made.text
        await pinned(client, homework, ran(seeds, users[who], {"loss": 1.0}), users[who])

    async def names(path: str, field: str, **query: str) -> list[str]:
        answer = await client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return [one[field] for one in answer.json()["items"]]

    assert await names("/v1/studies", "owner", owner="ann") == ["ann"]
    assert await names("/v1/studies", "owner", text="of BEN") == ["ben"]
    assert await names("/v1/studies", "owner", text="course/1A") == ["ben", "ann"]
    assert await names("/v1/studies", "owner", owner="nobody") == []
    for part in ("submissions", "grades"):
        path = f"/v1/assignments/{homework.id}/{part}"
        assert await names(path, "user", text="EN") == ["ben"], part
        assert await names(path, "user", text="%") == [], part
    mine = await client.get("/v1/studies", params={"owner": "ben"}, headers=users["ann"].headers)
    assert mine.json()["items"] == [], "a student sees no study of another one"
