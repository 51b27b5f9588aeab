"""Two courses in one lab: each is taught, seen and archived for itself."""

from typing import Any

import httpx
import pytest

from gpulab.states import Role
from models.tables.courses import DEFAULT_COURSE_ID
from tests.integration.api.course_lab import HOMEWORK, TwoCourses, two_courses
from tests.integration.api.seeds import ORDER, Seeds
from tests.integration.api.study_calls import GRID


@pytest.fixture
async def lab(anonymous: httpx.AsyncClient, seeds: Seeds) -> TwoCourses:
    return await two_courses(anonymous, seeds)


async def test_lab_with_one_course_asks_nobody_for_it(client: httpx.AsyncClient, seeds: Seeds) -> None:
    ina, sam = seeds.user("ina", Role.INSTRUCTOR), seeds.user("sam", Role.STUDENT)
    made = await client.post("/v1/assignments", json=HOMEWORK, headers=ina.headers)
    assert made.json()["course_id"] == str(DEFAULT_COURSE_ID)
    new = await client.post("/v1/users", json={"name": "new"}, headers=ina.headers)
    told = {"Authorization": f"Bearer {new.json()['token']}"}
    for headers in (sam.headers, told):
        (seen,) = (await client.get("/v1/assignments", headers=headers)).json()["items"]
        assert seen["id"] == made.json()["id"]
        assert (await client.post("/v1/jobs", json=ORDER, headers=headers)).status_code == 201
    jobs = (await client.get("/v1/jobs", headers=ina.headers)).json()["items"]
    assert {one["owner"] for one in jobs} == {"sam", "new"}
    (course,) = (await client.get("/v1/courses", headers=ina.headers)).json()["items"]
    assert (course["your_role"], course["instructors"], course["students"]) == ("instructor", ["admin", "ina"], 2)
    (of_sam,) = (await client.get("/v1/courses", headers=sam.headers)).json()["items"]
    assert (of_sam["your_role"], of_sam["students"]) == ("student", None)


async def test_each_sees_the_people_assignments_and_runs_of_their_courses(lab: TwoCourses) -> None:
    seen = {who: await lab.names(who, "courses") for who in lab.users}
    both = ["Language", "Vision"]
    assert seen == {
        "ann": ["Vision"],
        "bo": both,
        "cy": ["Language"],
        "vera": ["Vision"],
        "lars": ["Language"],
        "admin": both,
    }
    assert await lab.names("vera", "users") == ["admin", "ann", "bo", "vera"]
    assert await lab.names("lars", "users") == ["bo", "cy", "lars"]
    assert await lab.names("admin", f"users?course={lab.language}") == ["bo", "cy", "lars"]
    assert await lab.names("lars", f"users?course={lab.vision}") == []

    await lab.homework("vera", lab.vision, name="Pixels")
    await lab.homework("lars", lab.language, name="Words")
    works = {who: await lab.names(who, "assignments") for who in lab.users}
    assert works["ann"] == works["vera"] == ["Pixels"]
    assert works["cy"] == works["lars"] == ["Words"]
    assert works["bo"] == works["admin"] == ["Pixels", "Words"]
    assert await lab.names("bo", f"assignments?course={lab.vision}") == ["Pixels"]

    for who, course in (("ann", lab.vision), ("bo", lab.vision), ("bo", lab.language), ("cy", lab.language)):
        await lab.good(who, "POST", "jobs", **ORDER, course_id=course, name=f"{who} {course[-4:]}")
        await lab.good(who, "POST", "studies", **GRID, course_id=course, name=f"{who} {course[-4:]}")
    v, w = lab.vision[-4:], lab.language[-4:]
    assert set(await lab.names("vera", "studies")) == {f"ann {v}", f"bo {v}"}
    assert set(await lab.names("lars", "studies")) == {f"bo {w}", f"cy {w}"}
    jobs = (await lab.good("vera", "GET", "jobs?limit=200"))["items"]
    assert {one["owner"] for one in jobs} == {"ann", "bo"}
    for of, ending in ((lab.vision, v), (lab.language, w)):
        assert set(await lab.names("bo", f"studies?course={of}")) == {f"bo {ending}"}
        for path in ("jobs", "job-table"):
            named = {one["name"] for one in (await lab.good("bo", "GET", f"{path}?course={of}"))["items"]}
            assert {name for name in named if name.startswith("bo ")} == {f"bo {ending}"}
    assert (await lab.good("vera", "GET", f"jobs?course={lab.language}"))["items"] == []
    for one in jobs:
        assert (await lab.good("vera", "GET", f"jobs/{one['id']}"))["course_id"] == lab.vision
        assert (await lab.call("lars", "GET", f"jobs/{one['id']}")).status_code == 404
        assert (await lab.call("lars", "POST", f"jobs/{one['id']}/cancel")).status_code == 404


async def test_instructor_of_one_course_reads_and_changes_nothing_of_the_other(lab: TwoCourses) -> None:
    homework = await lab.homework("lars", lab.language, max_points=10)
    job_id = lab.ran("bo", lab.language)
    await lab.good("bo", "POST", f"assignments/{homework}/submission", job_id=str(job_id))
    bo = lab.users["bo"].id
    await lab.good("lars", "PUT", f"assignments/{homework}/grades/{bo}", points=7, comment="a secret of Language")
    reads = (
        "",
        "/work",
        "/overview",
        "/submissions",
        "/grades",
        "/grades.csv",
        f"/grades/{bo}",
        "/reruns",
        "/extensions",
    )
    changes = (
        ("PATCH", "", {"tolerance": 0.5}),
        ("POST", "/extensions", {"user_id": str(bo), "deadline": "2999-02-01"}),
        ("PUT", f"/grades/{bo}", {"points": 1}),
        ("DELETE", f"/grades/{bo}", {}),
        ("POST", "/grades/import", {"csv": "name,points\nbo,2\n", "dry_run": True}),
        ("POST", "/reruns", {"everyone": True}),
        ("POST", f"/submissions/{bo}/rerun", {}),
        ("POST", f"/submissions/{bo}/check", {}),
        ("POST", "/submission", {"job_id": str(job_id)}),
    )
    for path in reads:
        assert (await lab.call("vera", "GET", f"assignments/{homework}{path}")).status_code == 404, path
    for method, path, body in changes:
        assert (await lab.call("vera", method, f"assignments/{homework}{path}", **body)).status_code == 404, path
    assert (await lab.call("vera", "POST", "assignments", **HOMEWORK, course_id=lab.language)).status_code == 422
    assert (await lab.call("vera", "PATCH", f"courses/{lab.language}", archived=True)).status_code == 404
    assert "a secret of Language" not in (await lab.call("vera", "GET", "audit")).text
    assert {one["actor"] for one in (await lab.good("vera", "GET", "audit"))["items"]} <= {"user:vera"}


async def test_student_of_one_course_who_teaches_another_is_a_student_there(lab: TwoCourses) -> None:
    ann = lab.users["ann"].id
    await lab.good("admin", "PUT", f"courses/{lab.language}/members/{ann}", role="instructor")
    vision = await lab.homework("vera", lab.vision)
    language = await lab.homework("ann", lab.language)
    assert (await lab.call("ann", "GET", f"assignments/{vision}/grades")).status_code == 403
    assert (await lab.call("ann", "GET", f"assignments/{language}/grades")).status_code == 200
    names = [one["name"] for one in (await lab.good("vera", "GET", f"assignments/{vision}/overview"))["students"]]
    assert sorted(names) == ["ann", "bo"]
    assert [one["user"] for one in (await lab.good("ann", "GET", f"assignments/{language}/grades"))["items"]] == [
        *("bo", "cy")
    ]


async def test_run_counts_only_in_its_course(lab: TwoCourses) -> None:
    vision, language = await lab.homework("vera", lab.vision), await lab.homework("lars", lab.language)
    job_id = lab.ran("bo", lab.vision)
    refused = await lab.call("bo", "POST", f"assignments/{language}/submission", job_id=str(job_id))
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "job_id")
    assert "another course" in refused.json()["detail"]
    await lab.good("bo", "POST", f"assignments/{vision}/submission", job_id=str(job_id))
    runs = {one: (await lab.good("bo", "GET", f"assignments/{one}/work"))["runs"] for one in (vision, language)}
    assert [len(found) for found in runs.values()] == [1, 0]
    states = (await lab.good("lars", "GET", f"assignments/{language}/overview"))["states"]
    assert states == {"not_started": 2}


async def test_run_of_someone_in_two_courses_goes_to_the_one_that_wants_it(lab: TwoCourses) -> None:
    async def course_of(**order: Any) -> str:
        return str((await lab.good("bo", "POST", "jobs", **{**ORDER, **order}))["course_id"])

    assert await course_of() == lab.language  # joined last
    await lab.homework("vera", lab.vision)
    assert await course_of() == lab.vision
    assert await course_of(course_id=lab.language) == lab.language
    assert await course_of(experiment="conv-gradients", spec={}) == lab.language
    (again,) = (await lab.good("bo", "GET", "jobs?limit=1"))["items"]
    await lab.good("bo", "POST", f"jobs/{again['id']}/cancel")
    assert (await lab.good("bo", "POST", f"jobs/{again['id']}/retry"))["course_id"] == lab.language
    strange = await lab.call("ann", "POST", "jobs", **ORDER, course_id=lab.language)
    assert (strange.status_code, strange.json()["errors"][0]["path"]) == (422, "course_id")


async def test_what_is_shared_stays_in_the_course(lab: TwoCourses) -> None:
    job_id = lab.ran("ann", lab.vision)
    await lab.good("ann", "POST", f"jobs/{job_id}/share", audience="class")
    assert (await lab.call("bo", "GET", f"jobs/{job_id}")).status_code == 200
    assert (await lab.call("cy", "GET", f"jobs/{job_id}")).status_code == 404
    assert (await lab.good("cy", "GET", "jobs?shared=true"))["items"] == []
    assert len((await lab.good("bo", "GET", "jobs?shared=true"))["items"]) == 1


async def test_account_of_someone_in_two_courses_is_an_admins(lab: TwoCourses) -> None:
    ann, bo = (lab.users[name].id for name in ("ann", "bo"))
    assert (await lab.call("vera", "PATCH", f"users/{ann}", section="A")).status_code == 200
    for method, path, body in (
        ("PATCH", f"users/{bo}", {"section": "A"}),
        ("POST", f"users/{bo}/disable", {}),
        ("POST", "tokens", {"name": "mine now", "user_id": str(bo)}),
    ):
        refused = await lab.call("vera", method, path, **body)
        assert (refused.status_code, "another" in refused.text or "also in" in refused.text) == (403, True), path
    assert (await lab.call("vera", "GET", f"users/{lab.users['cy'].id}")).status_code == 404
    assert (await lab.call("vera", "POST", "tokens", name="x", user_id=str(lab.users["cy"].id))).status_code == 404
    assert (await lab.call("admin", "PATCH", f"users/{bo}", section="A")).status_code == 200


async def test_roster_is_of_one_course_and_leaves_accounts_of_others_alone(lab: TwoCourses) -> None:
    for name in ("bo", "cy"):
        await lab.good("admin", "PATCH", f"users/{lab.users[name].id}", email=f"{name}@example.org", section="old")
    table = "name,email,section\nBo B,bo@example.org,new\nCy C,cy@example.org,new\nDi,di@example.org,new\n"
    asked = await lab.call("admin", "POST", "roster", csv=table)
    assert (asked.status_code, asked.json()["errors"][0]["path"]) == (422, "course_id")
    assert "Language" in asked.json()["detail"]
    done = await lab.good("vera", "POST", "roster", csv=table)
    assert {row["email"][:2]: row["action"] for row in done["rows"]} == {"bo": "keep", "cy": "change", "di": "create"}
    assert any("bo@example.org" in notice and "another course" in notice for notice in done["notices"])
    roster = (await lab.good("vera", "GET", "roster"))["users"]
    assert {(one["name"], one["section"]) for one in roster} == {
        ("ann", None),
        ("bo", "old"),
        ("cy", "old"),
        ("Di", "new"),
    }
    assert [one["name"] for one in (await lab.good("lars", "GET", "roster"))["users"]] == ["bo", "cy"]
    again = await lab.good("vera", "POST", "roster", csv=table)
    assert (again["created"], again["changed"], again["kept"]) == (0, 0, 3)


async def test_two_courses_may_call_their_assignments_alike(lab: TwoCourses) -> None:
    await lab.homework("vera", lab.vision)
    await lab.homework("lars", lab.language)
    taken = await lab.call("vera", "POST", "assignments", **HOMEWORK)
    assert (taken.status_code, taken.json()["errors"][0]["path"]) == (409, "name")
    again = await lab.call("admin", "POST", "courses", name="Vision", term="Autumn 2030")
    assert (again.status_code, again.json()["errors"][0]["path"]) == (409, "name")
    assert (await lab.call("admin", "POST", "courses", name="Vision", term="Spring 2031")).status_code == 201


async def test_weight_of_a_course_is_an_admins_and_is_written_into_the_audit(lab: TwoCourses) -> None:
    assert (await lab.good("vera", "GET", f"courses/{lab.vision}"))["weight"] == 1.0
    refused = await lab.call("vera", "PATCH", f"courses/{lab.vision}", weight=2)
    assert (refused.status_code, "weight" in refused.json()["detail"]) == (403, True)
    for wrong in (0, -1, 1001, "NaN"):
        answer = await lab.call("admin", "PATCH", f"courses/{lab.vision}", weight=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "weight"), answer.text
    changed = await lab.good("admin", "PATCH", f"courses/{lab.vision}", weight=2.5)
    assert (changed["weight"], changed["name"]) == (2.5, "Vision")
    assert (await lab.good("ann", "GET", f"courses/{lab.vision}"))["weight"] == 2.5
    events = (await lab.good("admin", "GET", "audit"))["items"]
    assert "course.changed" in [event["action"] for event in events if str(lab.vision) in (event["target"] or "")]


async def test_archived_course_is_read_only_and_its_people_go_on_elsewhere(lab: TwoCourses) -> None:
    homework = await lab.homework("vera", lab.vision)
    job_id = lab.ran("ann", lab.vision)
    ann, cy = (lab.users[name].id for name in ("ann", "cy"))
    refused = await lab.call("vera", "PATCH", f"courses/{lab.vision}", name="Mine")
    assert refused.status_code == 403
    archived = await lab.good("vera", "PATCH", f"courses/{lab.vision}", archived=True)
    changes = (
        ("ann", "POST", "jobs", ORDER),
        ("ann", "POST", f"jobs/{job_id}/retry", {}),
        ("ann", "POST", "studies", GRID),
        ("ann", "POST", f"assignments/{homework}/submission", {"job_id": str(job_id)}),
        ("vera", "POST", "assignments", {**HOMEWORK, "name": "Late"}),
        ("vera", "PATCH", f"assignments/{homework}", {"tolerance": 0.5}),
        ("vera", "PUT", f"assignments/{homework}/grades/{ann}", {"points": 1}),
        ("vera", "POST", f"assignments/{homework}/reruns", {"everyone": True}),
        ("vera", "POST", f"assignments/{homework}/extensions", {"user_id": str(ann), "deadline": "2999-02-01"}),
        ("vera", "POST", "roster", {"csv": "name,email\nDi,di@example.org\n"}),
        ("vera", "POST", "users", {"name": "di"}),
        ("admin", "PUT", f"courses/{lab.vision}/members/{cy}", {"role": "student"}),
    )
    for who, method, path, body in changes:
        answer = await lab.call(who, method, path, **body)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/course-archived"), (path, answer.text)
        assert "Vision (Autumn 2030)" in answer.json()["detail"]
        assert archived["archived_at"][:10] in answer.json()["detail"]
    for who, path in (
        ("ann", f"assignments/{homework}"),
        ("vera", f"assignments/{homework}/grades"),
        ("ann", f"jobs/{job_id}"),
    ):
        assert (await lab.call(who, "GET", path)).status_code == 200
    assert (await lab.good("bo", "POST", "jobs", **ORDER))["course_id"] == lab.language
    again = await lab.good("vera", "PATCH", f"courses/{lab.vision}", archived=True)
    assert again["archived_at"] == archived["archived_at"]
    assert (await lab.call("vera", "PATCH", f"courses/{lab.vision}", archived=False)).status_code == 403
    await lab.good("admin", "PATCH", f"courses/{lab.vision}", archived=False)
    await lab.good("ann", "POST", f"assignments/{homework}/submission", job_id=str(job_id))
