"""Assignments: how the class stands, what is handed in and until when, and whether it comes out the same again."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from api.app import create_app
from api.http import cursors
from gpulab.schemas.assignments import AssignmentRead, ComparisonRead, OverviewRead, SubmissionRead, WorkRead
from gpulab.states import FailureCause, Role
from models import Assignment
from models.settings import ApiSettings
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish

LATER = "2999-01-01T00:00:00Z"
HOMEWORK = {"name": "Homework", "deadline": LATER, "experiments": ["dropout-linear"]}


async def assigned(client: httpx.AsyncClient, **changes: Any) -> AssignmentRead:
    answer = await client.post("/v1/assignments", json={**HOMEWORK, **changes})
    assert answer.status_code == 201, answer.text
    return AssignmentRead.model_validate_json(answer.content)


async def pinned(
    client: httpx.AsyncClient, assignment: AssignmentRead, job_id: UUID, who: SeededUser
) -> httpx.Response:
    path = f"/v1/assignments/{assignment.id}/submission"
    return await client.post(path, json={"job_id": str(job_id)}, headers=who.headers)


def ran(seeds: Seeds, owner: SeededUser, result: dict[str, Any] | None, **values: Any) -> UUID:
    job_id = seeds.job(owner, **values)
    finish(seeds, job_id, result)
    return job_id


@pytest.fixture
def users(seeds: Seeds) -> dict[str, SeededUser]:
    seeds.node()
    return {name: seeds.user(name, Role.STUDENT) for name in ("ann", "ben", "cat", "dan", "eve")}


async def test_overview_says_who_succeeded_who_is_stuck_and_on_what(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    ran(seeds, users["ann"], None)
    good = ran(seeds, users["ann"], {"loss": 1.0})
    ran(seeds, users["ben"], None)
    newest = ran(seeds, users["ben"], None, name="second try")
    seeds.job(users["cat"])
    ran(seeds, users["dan"], {"x": 1}, experiment="conv-gradients")
    await pinned(client, homework, good, users["ann"])
    answer = await client.get(f"/v1/assignments/{homework.id}/overview")
    found = OverviewRead.model_validate_json(answer.content)

    standings = {one.name: one for one in found.students}
    assert {name: one.state for name, one in standings.items()} == {
        "ann": "handed_in",
        "ben": "stuck",
        "cat": "working",
        "dan": "not_started",
        "eve": "not_started",
    }
    assert (standings["ann"].runs, standings["ann"].succeeded, standings["ann"].failed) == (2, 1, 1)
    stuck = standings["ben"].last_failure
    assert stuck is not None
    assert (stuck.job_id, stuck.name, stuck.cause, stuck.message) == (
        *(newest, "second try", FailureCause.ERROR),
        "it broke",
    )
    handed_in = standings["ann"].submission
    assert handed_in is not None
    assert (handed_in.job_id, found.submitted) == (good, 1)
    assert found.states == {"handed_in": 1, "stuck": 1, "working": 1, "not_started": 2}


async def test_overview_and_submissions_come_page_by_page_the_stuck_first_with_counts_of_everybody(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    for name in ("cat", "ann"):
        await pinned(client, homework, ran(seeds, users[name], {"loss": 1.0}), users[name])
    for name in ("eve", "ben"):
        ran(seeds, users[name], None)
    overview, handed_in = (f"/v1/assignments/{homework.id}/{part}" for part in ("overview", "submissions"))
    found: list[tuple[str, str]] = []
    cursor = None
    while not found or cursor is not None:
        answer = await client.get(overview, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        page = OverviewRead.model_validate_json(answer.content)
        assert (page.states, page.submitted) == ({"handed_in": 2, "stuck": 2, "not_started": 1}, 2)
        found += [(one.state, one.name) for one in page.students]
        cursor = page.next_cursor
    assert found == [
        ("stuck", "ben"),
        ("stuck", "eve"),
        ("not_started", "dan"),
        ("handed_in", "ann"),
        ("handed_in", "cat"),
    ]

    first = (await client.get(handed_in, params={"limit": 1})).json()
    second = (await client.get(handed_in, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [page["items"][0]["user"] for page in (first, second)] == ["ann", "cat"]
    assert second["next_cursor"] is None
    of_this = {"assignment": homework.id}
    made_up = (cursors.encode("overview", of_this, position) for position in ("nowhere/ann", "stuck/ann"))
    for wrong in (first["next_cursor"], *made_up):
        answer = await client.get(overview, params={"cursor": wrong})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-cursor")


async def test_namesakes_at_the_border_of_a_page_are_all_there(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    homework = await assigned(client)
    twins: list[SeededUser] = []
    for number in range(3):
        answer = await client.post("/v1/users", json={"name": "Twin", "email": f"t{number}@example.org"})
        made = answer.json()
        twins.append(SeededUser(UUID(made["id"]), "Twin", made["token"]))
        await pinned(client, homework, ran(seeds, twins[-1], {"loss": 1.0}), twins[-1])
    for part, items, name in (("overview", "students", "name"), ("submissions", "items", "user")):
        found: list[str] = []
        cursor = None
        while not found or cursor is not None:
            params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(f"/v1/assignments/{homework.id}/{part}", params=params)).json()
            found += [one["user_id"] for one in page[items] if one[name] == "Twin"]
            cursor = page["next_cursor"]
        assert sorted(found) == sorted(str(one.id) for one in twins)


async def test_one_state_a_student_and_counts_are_filters(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    ann, ben, cat, dan, eve = users.values()
    ran(seeds, eve, {"loss": 1.0}, name="before the assignment")
    homework = await assigned(client)
    ran(seeds, ann, None)
    seeds.job(ann)
    for _ in range(3):
        ran(seeds, ben, None)
    seeds.job(ben)
    ran(seeds, cat, {"loss": 1.0})
    late = ran(seeds, dan, {"loss": 1.0})
    for who, section in ((ann, "A"), (ben, "A"), (cat, "B"), (dan, "B")):
        await client.patch(f"/v1/users/{who.id}", json={"section": section, "team": f"{section}1"})
    moved = {"deadline": (await client.get(f"/v1/assignments/{homework.id}")).json()["created_at"]}
    with seeds.engine.begin() as connection:
        connection.execute(update(Assignment).where(Assignment.id == homework.id).values(moved))
    await pinned(client, homework, late, dan)

    async def overview(**query: str) -> OverviewRead:
        answer = await client.get(f"/v1/assignments/{homework.id}/overview", params=query)
        return OverviewRead.model_validate_json(answer.content)

    everyone = await overview()
    assert {one.name: (one.state, one.earlier_runs) for one in everyone.students} == {
        "ann": ("working", 0),
        "ben": ("stuck", 0),
        "cat": ("good_run", 0),
        "dan": ("late", 0),
        "eve": ("not_started", 1),
    }
    in_a = await overview(section="A", state="stuck")
    assert ([one.name for one in in_a.students], in_a.states) == (["ben"], {"working": 1, "stuck": 1})
    assert [one.name for one in (await overview(text="CA")).students] == ["cat"]
    assert [one.name for one in (await overview(team="B1")).students] == ["cat", "dan"]
    assert [one.name for one in (await overview(text="%")).students] == []
    unknown = await client.get(f"/v1/assignments/{homework.id}/overview?state=lost")
    assert (unknown.status_code, unknown.json()["errors"][0]["path"]) == (422, "query.state")


async def test_overview_of_a_class_without_students_is_empty(client: httpx.AsyncClient) -> None:
    homework = await assigned(client)
    found = OverviewRead.model_validate_json((await client.get(f"/v1/assignments/{homework.id}/overview")).content)
    assert (found.states, found.submitted, found.students, found.next_cursor) == ({}, 0, [], None)


async def test_runs_of_a_study_count_for_the_questions_of_its_template(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client, experiments=[], templates=["course/1a"])
    assert homework.questions == ["course/1a"]
    for who, template in (("ann", "course/1"), ("ben", "course/2")):
        order = {"template": template, "scale": "smoke"}
        assert (await client.post("/v1/studies", json=order, headers=users[who].headers)).status_code == 201
    found = OverviewRead.model_validate_json((await client.get(f"/v1/assignments/{homework.id}/overview")).content)

    states = {one.name: one.state for one in found.students}
    assert (states["ann"], states["ben"]) == ("working", "not_started")


async def test_only_a_run_of_ones_own_that_belongs_and_succeeded_is_taken(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    for job_id in (
        ran(seeds, users["ben"], {"loss": 1.0}),
        ran(seeds, users["ann"], None),
        seeds.job(users["ann"]),
        ran(seeds, users["ann"], {"x": 1.0}, experiment="conv-gradients"),
    ):
        answer = await pinned(client, homework, job_id, users["ann"])
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "job_id")
    mine = await client.get(f"/v1/assignments/{homework.id}/submission", headers=users["ann"].headers)
    assert (mine.status_code, mine.json()["type"]) == (404, "/problems/submission-not-found")


async def test_what_was_in_time_stays_after_the_deadline(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    ann, ben = users["ann"], users["ben"]
    first, second = (ran(seeds, ann, {"loss": float(n)}) for n in range(2))
    assert (await pinned(client, homework, first, ann)).status_code == 200
    replaced = SubmissionRead.model_validate_json((await pinned(client, homework, second, ann)).content)
    assert (replaced.job_id, replaced.late) == (second, False)
    moved = await client.patch(f"/v1/assignments/{homework.id}", json={"deadline": replaced.pinned_at.isoformat()})
    assert moved.status_code == 200, moved.text
    refused = await pinned(client, homework, first, ann)
    late = await pinned(client, homework, ran(seeds, ben, {"loss": 1.0}), ben)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/assignment-over")
    assert (late.status_code, late.json()["late"]) == (200, True)
    listed = (await client.get(f"/v1/assignments/{homework.id}/submissions")).json()["items"]
    assert [(one["user"], one["job_id"], one["late"]) for one in listed] == [
        ("ann", str(second), False),
        ("ben", late.json()["job_id"], True),
    ]


async def test_rerun_repeats_spec_and_seed_and_is_compared(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser], admin: SeededUser
) -> None:
    homework = await assigned(client, tolerance=1e-3)
    ann = users["ann"]
    result = {"loss": 1.0, "weights": [1.0, 2.0], "label": "a", "elapsed_seconds": 3.0}
    job_id = ran(seeds, ann, result, seed=7, spec={"dropout": 0.5})
    await pinned(client, homework, job_id, ann)
    base = f"/v1/assignments/{homework.id}/submissions/{ann.id}"
    assert (await client.get(f"{base}/comparison")).status_code == 404
    again = (await client.post(f"{base}/rerun")).json()

    assert (again["retry_of"], again["seed"], again["spec"], again["owner"]) == (
        *(str(job_id), 7, {"dropout": 0.5}),
        "admin",
    )

    async def compared(query: str = "") -> ComparisonRead:
        return ComparisonRead.model_validate_json((await client.get(f"{base}/comparison{query}")).content)

    assert (await compared()).verdict == "waiting"
    finish(seeds, UUID(again["id"]), {**result, "weights": [1.0, 2.001], "elapsed_seconds": 9.0})
    same, strict = await compared(), await compared("?tolerance=0.0001")
    assert (same.verdict, same.compared, same.seed) == ("same", 4, 7)
    # How long it took is told and not judged.
    assert [(one.path, one.judged) for one in same.differences] == [("elapsed_seconds", False)]
    assert strict.verdict == "different"
    assert [(one.path, one.pinned, one.again) for one in strict.differences if one.judged] == [
        ("weights.1", 2.0, 2.001)
    ]


async def test_rerun_that_fails_is_no_difference(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client)
    await pinned(client, homework, ran(seeds, users["ann"], {"loss": 1.0}), users["ann"])
    base = f"/v1/assignments/{homework.id}/submissions/{users['ann'].id}"
    again = (await client.post(f"{base}/rerun")).json()
    finish(seeds, UUID(again["id"]))
    assert (await client.get(f"{base}/comparison")).json()["verdict"] == "failed"


NO_DEADLINES = [
    *("tomorrow", "", "20300101", "1893456000", "01/02/2030", "2030-02-30", "2030-W01-1", "9999-12-31"),
    *("2001-01-01", "2001-01-01T00:00:00Z", "2030-01-01T00:00:00+25:00"),
]


async def test_deadline_is_read_and_shown_in_the_time_zone_of_the_lab(settings: ApiSettings, seeds: Seeds) -> None:
    app = create_app(settings.model_copy(update={"time_zone": "Europe/Berlin"}))
    transport = httpx.ASGITransport(app)
    headers = seeds.user("ina", Role.INSTRUCTOR).headers
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://lab", headers=headers) as client,
    ):
        for text, instant, shown in (
            ("2030-01-31", "2030-01-31T22:59:59Z", "2030-01-31 23:59 CET (Europe/Berlin)"),
            ("2030-07-31T18:00", "2030-07-31T16:00:00Z", "2030-07-31 18:00 CEST (Europe/Berlin)"),
            ("2030-10-27T02:30:00+01:00", "2030-10-27T01:30:00Z", "2030-10-27 02:30 CET (Europe/Berlin)"),
        ):
            answer = await client.post("/v1/assignments", json={**HOMEWORK, "name": text, "deadline": text})
            assert (answer.json()["deadline"], answer.json()["deadline_text"]) == (instant, shown)
        for text, word in (("2030-10-27T02:30", "comes twice"), ("2030-03-31T02:30", "is skipped")):
            answer = await client.post("/v1/assignments", json={**HOMEWORK, "deadline": text})
            assert (answer.status_code, word in answer.json()["errors"][0]["message"]) == (422, True)
        over = await client.patch(
            f"/v1/assignments/{(await client.get('/v1/assignments')).json()['items'][0]['id']}",
            json={"deadline": "2020-01-01"},
        )
    assert (over.status_code, "is too early" in over.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": ""}, "name"),
        *(({"deadline": text}, "deadline") for text in NO_DEADLINES),
        ({"templates": ["course/99"]}, "templates.0"),
        ({"templates": ["../etc"]}, "templates.0"),
        ({"experiments": ["nope"]}, "experiments.0"),
        ({"experiments": []}, "templates"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"tolerance": 2.0}, "tolerance"),
        ({"late_days": -1}, "late_days"),
        ({"late_days": 1000}, "late_days"),
        ({"late_deduction": -1.0}, "late_deduction"),
        ({"late_deduction": 101.0}, "late_deduction"),
        ({"late_deduction_unit": "grades"}, "late_deduction_unit"),
        ({"points": 5}, "points"),
    ],
)
async def test_bad_assignment_is_refused(client: httpx.AsyncClient, changes: dict[str, Any], path: str) -> None:
    answer = await client.post("/v1/assignments", json={**HOMEWORK, **changes})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path), answer.text
    assert (await client.get("/v1/assignments")).json()["items"] == []


async def test_assignment_is_changed_and_its_name_is_its_own(client: httpx.AsyncClient) -> None:
    homework = await assigned(client)
    again = await client.post("/v1/assignments", json=HOMEWORK)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/already-taken")
    path = f"/v1/assignments/{homework.id}"
    changed = (await client.patch(path, json={"templates": ["course/2"], "experiments": []})).json()
    assert changed["questions"][0].startswith("course/2")
    assert changed["experiments"] == []
    nothing = await client.patch(path, json={"templates": []})
    assert (nothing.status_code, (await client.get(path)).json()) == (422, changed)


async def test_work_says_what_counts_what_is_missing_and_which_runs_can_be_handed_in(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client, templates=["course/1a"], experiments=["dropout-linear", "conv-gradients"])
    ann, ben = users["ann"], users["ben"]
    good = ran(seeds, ann, {"loss": 1.0}, name="good")
    failed = ran(seeds, ann, None)
    ran(seeds, ann, {"loss": 1.0}, experiment="model-memory")
    ran(seeds, ben, {"loss": 1.0}, experiment="conv-gradients")
    order = {"template": "course/1a", "scale": "smoke"}
    assert (await client.post("/v1/studies", json=order, headers=ben.headers)).status_code == 201
    path = f"/v1/assignments/{homework.id}/work"
    found = WorkRead.model_validate_json((await client.get(path, headers=ann.headers)).content)
    of_ben = WorkRead.model_validate_json((await client.get(path, headers=ben.headers)).content)

    assert [(part.kind, part.name, part.runs, part.succeeded) for part in found.parts] == [
        ("question", "course/1a", 0, 0),
        ("experiment", "dropout-linear", 2, 1),
        ("experiment", "conv-gradients", 0, 0),
    ]
    assert found.parts[0].title.startswith("1a. ")
    assert [run.id for run in found.runs] == [good, failed], "those that succeeded come first"
    assert (of_ben.parts[0].runs > 0, of_ben.parts[0].succeeded) == (True, 0)
    assert (await client.get(f"/v1/assignments/{ann.id}/work", headers=ann.headers)).status_code == 404


async def test_each_student_sees_what_they_handed_in_with_its_name(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework, other = await assigned(client), await assigned(client, name="Other")
    ann, ben = users["ann"], users["ben"]
    job_id = ran(seeds, ann, {"loss": 1.0}, name="my best")
    await pinned(client, homework, job_id, ann)
    listed = (await client.get("/v1/assignments", headers=ann.headers)).json()["items"]

    assert [one["id"] for one in listed] == [str(other.id), str(homework.id)]
    assert listed[0]["your_submission"] is None
    mine = listed[1]["your_submission"]
    assert (mine["job_id"], mine["name"], mine["experiment"]) == (str(job_id), "my best", "dropout-linear")
    of_ben = (await client.get(f"/v1/assignments/{homework.id}", headers=ben.headers)).json()
    assert of_ben["your_submission"] is None
