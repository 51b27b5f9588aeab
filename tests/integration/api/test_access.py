"""Who sees what, tried on every operation of the contract with each role."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.app import create_app
from gpulab.states import Role
from models.settings import ApiSettings
from models.tables.courses import DEFAULT_COURSE_ID
from tests.access_rules import REACHES, RULES, STILL_WORKS, Reach, Rule
from tests.integration.api.seeds import ORDER, SeededUser, Seeds
from tests.integration.api.study_calls import GRID

NOBODY = str(UUID(int=0))
SECRET = "known-in-its-course"
LAB_HOURS = {"gpus": 1, "section": "B"}
BODIES: dict[str, Any] = {
    "submit_job": ORDER,
    "ask_estimate": {"experiment": "model-memory"},
    "submit_study": GRID,
    "add_study_seeds": {"seeds": [7]},
    "change_job": {"tags": ["kept"]},
    "share_job": {"audience": "class"},
    "share_study": {"audience": "class"},
    "create_token": {"name": "another"},
    "create_user": {"name": "new"},
    "change_user": {"section": "B"},
    "import_roster": {"csv": "name,email\nNew,new@example.org\n", "dry_run": True},
    "create_assignment": {"name": "More", "deadline": "2999-01-01T00:00:00Z", "experiments": ["dropout-linear"]},
    "change_assignment": {"tolerance": 0.5},
    "give_grade": {"points": 3, "comment": "olgas-grade"},
    "import_grades": {"csv": "name,points\nolga,2\n", "dry_run": True},
    "rerun_submissions": {},
    "extend_assignment": {"section": "B", "deadline": "2999-02-01T00:00:00Z"},
    "extend_students": {"user_ids": [NOBODY], "deadline": "2999-02-01T00:00:00Z"},
    "message_students": {"user_ids": [NOBODY], "text": "Hello", "ends_at": "2999-01-01"},
    "cancel_waiting_runs": {"user_ids": [NOBODY]},
    "check_students": {"user_ids": [NOBODY]},
    "create_lab_hours": {"name": "More", **LAB_HOURS, "start": "2999-02-01T10:00", "end": "2999-02-01T12:00"},
    "change_lab_hours": {"give_back_minutes": 5},
    "create_course": {"name": "Another"},
    "change_course": {},
    "add_course_member": {},
    "create_banner": {"text": "Hello", "ends_at": "2999-01-01"},
    "erase_user": {"mode": "anonymise", "dry_run": True},
    "delete_jobs": {"job_ids": [str(uuid4())]},
    "change_notifications": {"webhook": {"kinds": ["failed"], "webhook_url": "https://hooks.example.org/x"}},
}
FILES = {"upload_program": {"files": ("own.py", b"1")}}
ENDLESS = {"stream_jobs"}
LISTS = (
    "list_assignments",
    "get_assignment",
    "list_jobs",
    "get_job_table",
    "list_studies",
    "list_programs",
    "list_tokens",
    "list_nodes",
    "list_gpus",
    "get_me",
)


@dataclass
class World:
    """Olga ran a job and a study. Sam and Pat are other students, Tim is of her team, Ina teaches."""

    client: httpx.AsyncClient
    operations: dict[str, tuple[str, str]]
    users: dict[str, SeededUser]
    job_id: UUID
    study_id: UUID
    assignment_id: UUID
    extension_id: UUID
    lab_hours_id: UUID
    banner_id: UUID
    program: str
    estimate_id: UUID

    @property
    def secrets(self) -> set[str]:
        """What stands for Olga's work in any answer or row."""
        return {"olga", str(self.job_id), str(self.study_id), str(self.users["olga"].id), "olgas-secret", SECRET}

    async def call(self, operation: str, who: str | None, body: Any = None) -> httpx.Response:
        method, path = self.operations[operation]
        path = path.format(
            job_id=self.job_id,
            study_id=self.study_id,
            user_id=self.users["pat" if "course_member" in operation else "olga"].id,
            course_id=DEFAULT_COURSE_ID,
            token_id=uuid4(),
            assignment_id=self.assignment_id,
            estimate_id=self.estimate_id,
            extension_id=self.extension_id,
            lab_hours_id=self.lab_hours_id,
            banner_id=self.banner_id,
            channel="webhook",
            sha256=self.program,
            other_sha256=self.program,
            path="olga.py",
            name="kept.txt" if "artifacts" in path else "node-1",
            slug="dropout-linear",
        )
        headers = {} if who is None else self.users[who].headers
        files = FILES.get(operation)
        sent = {"json": body or self.body(operation)} if files is None else {"files": files}
        return await self.client.request(method, path, headers=headers, **sent)

    def body(self, operation: str) -> Any:
        return {"job_id": str(self.job_id)} if operation == "pin_submission" else BODIES.get(operation)

    async def of(self, rule: Rule, who: str | None) -> dict[str, int]:
        """The status that each operation of the rule answers with."""
        names = [name for name, found in RULES.items() if found is rule and name not in ENDLESS]
        return {name: (await self.call(name, who)).status_code for name in names}


@pytest.fixture(scope="module")
def operations() -> dict[str, tuple[str, str]]:
    """Method and path of every operation."""
    settings = ApiSettings(database_url="postgresql://x/x", redis_url="redis://x", artifacts_url="memory://")
    return {
        operation["operationId"]: (method.upper(), path)
        for path, methods in create_app(settings).openapi()["paths"].items()
        for method, operation in methods.items()
    }


@pytest.fixture
async def world(
    anonymous: httpx.AsyncClient, operations: dict[str, tuple[str, str]], admin: SeededUser, seeds: Seeds
) -> World:
    seeds.node()
    users = {name: seeds.user(name, Role.STUDENT) for name in ("olga", "sam", "tim", "pat")}
    users |= {"ina": seeds.user("ina", Role.INSTRUCTOR), "admin": admin}
    for name, section in (("olga", "A"), ("tim", "B")):
        groups = {"team": "red", "section": section}
        moved = await anonymous.patch(f"/v1/users/{users[name].id}", json=groups, headers=admin.headers)
        assert moved.status_code == 200, moved.text
    job_id = seeds.job(users["olga"], name="olgas-secret")
    seeds.run(job_id)
    seeds.finish(job_id)
    seeds.artifact(job_id, "kept.txt", "nowhere", b"", "0" * 64)
    study = await anonymous.post("/v1/studies", json=GRID, headers=users["olga"].headers)
    assert study.status_code == 201, study.text
    homework = {"name": "Homework", "deadline": "2999-01-01T00:00:00Z", "experiments": ["dropout-linear"]}
    assignment = await anonymous.post("/v1/assignments", json=homework, headers=admin.headers)
    base = f"/v1/assignments/{assignment.json()['id']}"
    pinned = await anonymous.post(f"{base}/submission", json={"job_id": str(job_id)}, headers=users["olga"].headers)
    assert pinned.status_code == 200, pinned.text
    again = await anonymous.post(f"{base}/submissions/{users['olga'].id}/rerun", headers=admin.headers)
    assert again.status_code == 201, again.text
    extension = {"section": "A", "deadline": "2999-02-01T00:00:00Z"}
    extended = await anonymous.post(f"{base}/extensions", json=extension, headers=admin.headers)
    assert extended.status_code == 200, extended.text
    seeds.gpu("GPU-1")
    hours = {"name": f"Lab {SECRET}", **LAB_HOURS, "start": "2999-01-07T10:00", "end": "2999-01-07T12:00"}
    kept = await anonymous.post("/v1/lab-hours", json=hours, headers=admin.headers)
    assert kept.status_code == 201, kept.text
    text = {**BODIES["create_banner"], "text": SECRET, "course_id": str(DEFAULT_COURSE_ID)}
    banner = await anonymous.post("/v1/banners", json=text, headers=admin.headers)
    sent = await anonymous.post("/v1/programs", files={"files": ("olga.py", b"1")}, headers=users["olga"].headers)
    assert sent.status_code == 201, sent.text
    program = sent.json()["sha256"]
    question = {"experiment": "script", "spec": {"program": program, "command": ["python", "olga.py"]}}
    asked = await anonymous.post("/v1/estimates", json=question, headers=users["olga"].headers)
    assert asked.status_code == 202, asked.text
    return World(
        anonymous,
        operations,
        users,
        job_id,
        UUID(study.json()["id"]),
        UUID(assignment.json()["id"]),
        UUID(extended.json()["id"]),
        UUID(kept.json()["id"]),
        UUID(banner.json()["id"]),
        program,
        UUID(asked.json()["id"]),
    )


def refused(statuses: dict[str, int], *expected: int) -> None:
    assert statuses
    assert {name: status for name, status in statuses.items() if status not in expected} == {}


def let_in(statuses: dict[str, int]) -> None:
    assert statuses
    assert {name: status for name, status in statuses.items() if status in (401, 403, 404, 422, 500)} == {}


async def test_nobody_gets_in_without_signing_in(world: World) -> None:
    for rule in set(Rule) - {Rule.OPEN}:
        refused(await world.of(rule, None), 401)


@pytest.mark.parametrize("rule", [Rule.JOB, Rule.JOB_CHANGE, Rule.STUDY, Rule.STUDY_CHANGE, Rule.PROGRAM, Rule.USER])
async def test_what_is_of_others_is_not_found_by_a_student(world: World, seeds: Seeds, rule: Rule) -> None:
    before = seeds.state_of_everything()
    refused(await world.of(rule, "sam"), 404)
    assert seeds.state_of_everything() == before


@pytest.mark.parametrize("who", ["olga", "ina", "admin"])
@pytest.mark.parametrize("rule", [Rule.JOB, Rule.JOB_CHANGE, Rule.STUDY, Rule.STUDY_CHANGE, Rule.PROGRAM, Rule.USER])
async def test_owner_and_staff_find_it(world: World, rule: Rule, who: str) -> None:
    let_in(await world.of(rule, who))


async def test_students_do_not_what_is_for_staff(world: World) -> None:
    refused(await world.of(Rule.STAFF, "sam"), 403)
    refused(await world.of(Rule.ADMIN, "sam"), 403)
    refused(await world.of(Rule.ADMIN, "ina"), 403)
    let_in(await world.of(Rule.ADMIN, "admin"))
    let_in(await world.of(Rule.STAFF, "ina"))


async def test_all_that_a_user_has_is_for_them_and_admins(world: World) -> None:
    refused(await world.of(Rule.USER_DATA, "sam"), 404)
    refused(await world.of(Rule.USER_DATA, "ina"), 403)
    for who in ("olga", "admin"):
        let_in(await world.of(Rule.USER_DATA, who))


async def test_lists_tell_a_student_nothing_of_others(world: World) -> None:
    for name in LISTS:
        answer = await world.call(name, "sam")
        assert answer.status_code == 200
        assert [word for word in world.secrets - {SECRET} if word in answer.text] == [], name
    narrowed = await world.client.get(f"/v1/jobs?study={world.study_id}", headers=world.users["sam"].headers)
    assert narrowed.json()["items"] == []


@pytest.mark.parametrize(("audience", "readers"), [("team", {"tim"}), ("class", {"tim", "sam"})])
async def test_what_was_shared_can_be_read_and_not_changed(world: World, audience: str, readers: set[str]) -> None:
    olga = world.users["olga"].headers
    for path in (f"/v1/jobs/{world.job_id}/share", f"/v1/studies/{world.study_id}/share"):
        shared = await world.client.post(path, json={"audience": audience}, headers=olga)
        assert (shared.status_code, shared.json()["shared_with"]) == (200, audience), shared.text
    run = (await world.client.get(f"/v1/jobs?study={world.study_id}", headers=olga)).json()["items"][0]["id"]
    for who in ("tim", "sam"):
        headers = world.users[who].headers
        listed = (await world.client.get("/v1/jobs?shared=true", headers=headers)).json()["items"]
        studies = (await world.client.get("/v1/studies?shared=true", headers=headers)).json()["items"]
        runs = (await world.client.get(f"/v1/jobs?study={world.study_id}", headers=headers)).json()["items"]
        one = await world.client.get(f"/v1/jobs/{run}", headers=headers)
        if who in readers:
            let_in({**await world.of(Rule.JOB, who), **await world.of(Rule.STUDY, who)})
            refused({**await world.of(Rule.JOB_CHANGE, who), **await world.of(Rule.STUDY_CHANGE, who)}, 403)
            assert [job["id"] for job in listed] == [str(world.job_id)]
            assert [study["id"] for study in studies] == [str(world.study_id)]
            assert len(runs) > 0
            assert one.status_code == 200
        else:
            refused({**await world.of(Rule.JOB, who), **await world.of(Rule.STUDY_CHANGE, who)}, 404)
            assert (listed, studies, runs, one.status_code) == ([], [], [], 404)


async def test_sharing_is_taken_back_at_once(world: World) -> None:
    olga = world.users["olga"].headers
    path = f"/v1/jobs/{world.job_id}"
    tag = (await world.client.get(path, headers=olga)).headers["etag"]
    await world.client.post(f"{path}/share", json={"audience": "class"}, headers=olga)
    seen = await world.client.get(path, headers={**olga, "If-None-Match": tag})
    assert seen.json()["shared_with"] == "class"
    await world.client.post(f"{path}/share", json={"audience": None}, headers=olga)
    assert (await world.call("get_job", "sam")).status_code == 404


async def test_sharing_with_a_team_needs_one(world: World, seeds: Seeds) -> None:
    sam = world.users["sam"]
    job_id = seeds.job(sam)
    answer = await world.client.post(f"/v1/jobs/{job_id}/share", json={"audience": "team"}, headers=sam.headers)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "audience")
    bad = await world.client.post(f"/v1/jobs/{job_id}/share", json={"audience": "world"}, headers=sam.headers)
    assert (bad.status_code, bad.json()["errors"][0]["path"]) == (422, "audience")


@pytest.fixture
async def two_courses(world: World, seeds: Seeds) -> World:
    """Besides, Lars teaches another course, which Cy hears, and Tea teaches it and hears the first."""
    made = await world.client.post("/v1/courses", json={"name": "Another"}, headers=world.users["admin"].headers)
    other = made.json()["id"]
    roles = {"lars": Role.INSTRUCTOR, "cy": Role.STUDENT, "tea": Role.STUDENT}
    world.users |= {name: seeds.user(name, role) for name, role in roles.items()}
    members = (
        *(("lars", other, "instructor"), ("cy", other, "student"), ("tea", other, "instructor")),
        ("tea", DEFAULT_COURSE_ID, "student"),
    )
    for name, course, role in members:
        path = f"/v1/courses/{course}/members/{world.users[name].id}"
        added = await world.client.put(path, json={"role": role}, headers=world.users["admin"].headers)
        assert added.status_code == 200, added.text
    section = {"section": "B"}
    path = f"/v1/users/{world.users['cy'].id}"
    assert (await world.client.patch(path, json=section, headers=world.users["admin"].headers)).status_code == 200
    return world


def aimed_at_the_first(world: World) -> dict[str, Any]:
    """Bodies that name the first course, or what is of it."""
    of_it = {"course_id": str(DEFAULT_COURSE_ID)}
    olga = str(world.users["olga"].id)
    many = ("extend_students", "message_students", "cancel_waiting_runs", "check_students")
    made = ("create_user", "import_roster", "create_assignment", "create_lab_hours", "create_banner")
    return {
        **{name: {**BODIES[name], **of_it} for name in (*made, "submit_job", "submit_study")},
        **{name: {**BODIES[name], "user_ids": [olga]} for name in many},
        "create_token": {"name": "another", "user_id": olga},
        "delete_jobs": {"job_ids": [str(world.job_id)]},
    }


def test_every_route_for_staff_says_what_staff_of_other_courses_get() -> None:
    assert set(REACHES) == {name for name, rule in RULES.items() if rule is Rule.STAFF}


async def test_staff_of_one_course_have_it_as_if_it_were_the_only_one(two_courses: World, seeds: Seeds) -> None:
    # A program is of a course by its runs.
    seeds.job(two_courses.users["olga"], experiment="script", spec={"program": two_courses.program})
    for rule in (Rule.JOB, Rule.JOB_CHANGE, Rule.STUDY, Rule.STUDY_CHANGE, Rule.PROGRAM, Rule.USER, Rule.STAFF):
        let_in(await two_courses.of(rule, "ina"))
    refused(await two_courses.of(Rule.ADMIN, "ina"), 403)


@pytest.mark.parametrize("who", ["lars", "tea", "cy"])
async def test_other_course_learns_nothing_by_any_route(two_courses: World, who: str) -> None:
    for rule in (Rule.JOB, Rule.STUDY, Rule.PROGRAM, Rule.USER, Rule.USER_DATA):
        refused({name: (await two_courses.call(name, who)).status_code for name in reading(two_courses, rule)}, 404)
    secrets = two_courses.secrets
    if who == "tea":  # a student of it
        secrets -= {SECRET}
    for name in [one for rule in (Rule.OWN, Rule.EVERYONE, Rule.STAFF) for one in reading(two_courses, rule)]:
        answer = await two_courses.call(name, who)
        assert [word for word in secrets if word in answer.text] == [], name
        if (reach := REACHES.get(name)) is not None and who != "cy":
            assert answer.status_code in ((403, 404) if reach is Reach.COURSE else (200,)), name


def reading(world: World, rule: Rule) -> list[str]:
    named = [name for name, found in RULES.items() if found is rule and name not in ENDLESS]
    return [name for name in named if world.operations[name][0] == "GET"]


@pytest.mark.parametrize("who", ["lars", "tea", "cy"])
async def test_other_course_changes_nothing_by_any_route(two_courses: World, seeds: Seeds, who: str) -> None:
    before = seeds.every_row()
    aimed = aimed_at_the_first(two_courses)
    changing = [
        name for name, rule in RULES.items() if rule is not Rule.OPEN and two_courses.operations[name][0] != "GET"
    ]
    for name in changing:
        answer = await two_courses.call(name, who, aimed.get(name))
        if name in REACHES or RULES[name] in (Rule.JOB, Rule.JOB_CHANGE, Rule.STUDY_CHANGE, Rule.USER, Rule.ADMIN):
            assert answer.status_code in (403, 404, 422), (name, answer.text)
        after = seeds.every_row()
        assert {row[:200] for row in before - after} == set(), name
        new = {row for row in after - before if any(word in row for word in two_courses.secrets)}
        assert {row[:200] for row in new} == set(), name


@pytest.mark.parametrize("who", ["lars", "tea"])
async def test_staff_do_in_their_own_course_what_they_cannot_in_another(two_courses: World, who: str) -> None:
    made = [name for name, reach in REACHES.items() if reach is Reach.OWN]
    let_in({name: (await two_courses.call(name, who)).status_code for name in made})


@pytest.mark.parametrize("who", ["ina", "olga"])
async def test_archived_course_is_read_only_by_every_route(world: World, who: str) -> None:
    path = f"/v1/courses/{DEFAULT_COURSE_ID}"
    archived = await world.client.patch(path, json={"archived": True}, headers=world.users["admin"].headers)
    assert archived.status_code == 200, archived.text
    of_work = (Rule.JOB, Rule.JOB_CHANGE, Rule.STUDY, Rule.STUDY_CHANGE)
    rules = (*of_work, Rule.STAFF) if who == "ina" else of_work
    names = [name for name, rule in RULES.items() if rule in rules and name not in ENDLESS and name not in STILL_WORKS]
    read = {name for name in names if world.operations[name][0] == "GET"}
    let_in({name: (await world.call(name, who)).status_code for name in read})
    for name in ["submit_job", "submit_study", *names]:
        if name not in read and (who == "ina" or not name.startswith("delete_")):
            answer = await world.call(name, who)
            why = "/problems/job-not-deletable" if name == "delete_job" else "/problems/course-archived"
            assert (answer.status_code, answer.json()["type"]) == (409, why), name
    if who == "olga":
        assert (await world.call("pin_submission", who)).json()["type"] == "/problems/course-archived"
        kept = (await world.call("delete_jobs", who, {"job_ids": [str(world.job_id)]})).json()["kept"]
        assert kept[0]["because"] == "handed_in"
