"""Assignments with programs: the starter that the class begins with, and the hidden check that gives points."""

import csv
import io
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from gpulab.states import FailureCause, JobState, Role
from tests.integration.api.seeds import SeededUser, Seeds

NONE = "0" * 64
STARTER, CHECK = "starter.spec.program", "hidden_check.spec.program"


@dataclass
class Class:
    """Ina teaches, Olga and Sam study. The work is a run of a script."""

    client: httpx.AsyncClient
    seeds: Seeds
    ina: SeededUser
    olga: SeededUser
    sam: SeededUser

    async def call(self, who: SeededUser, method: str, path: str, **given: Any) -> httpx.Response:
        return await self.client.request(method, f"/v1{path}", headers=who.headers, **given)

    async def json(self, who: SeededUser, method: str, path: str, **given: Any) -> Any:
        answer = await self.call(who, method, path, **given)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def program(self, who: SeededUser, **files: str) -> str:
        parts = [("files", (f"{name}.py", text.encode())) for name, text in files.items()]
        found: str = (await self.json(who, "POST", "/programs", files=parts))["sha256"]
        return found

    async def run(self, who: SeededUser, text: str = "1") -> UUID:
        """A run that succeeded."""
        spec = {"program": await self.program(who, train=text), "command": ["python", "train.py"]}
        job_id = self.seeds.job(who, experiment="script", spec=spec)
        self.seeds.run(job_id)
        self.seeds.finish(job_id)
        return job_id

    async def checked_assignment(self, **more: Any) -> str:
        spec = {"program": await self.program(self.ina, check="secret"), "command": ["python", "check.py"]}
        order = {"name": "One", "deadline": "2999-01-01", "experiments": ["script", "notebook"]}
        order |= {"hidden_check": {"spec": spec, "max_points": 10}, **more}
        found: str = (await self.json(self.ina, "POST", "/assignments", json=order))["id"]
        return found

    async def hand_in(self, who: SeededUser, assignment: str, job_id: UUID) -> Any:
        return await self.json(who, "POST", f"/assignments/{assignment}/submission", json={"job_id": str(job_id)})

    async def check_job(self, assignment: str) -> UUID:
        page = await self.json(self.ina, "GET", f"/assignments/{assignment}/submissions")
        return UUID(page["items"][0]["check"]["job_id"])

    def conclude(self, job_id: UUID, result: Any) -> None:
        self.seeds.conclude(job_id, result)


@pytest.fixture
def school(anonymous: httpx.AsyncClient, seeds: Seeds) -> Class:
    seeds.node()
    ina = seeds.user("ina", Role.INSTRUCTOR)
    return Class(anonymous, seeds, ina, *(seeds.user(name, Role.STUDENT) for name in ("olga", "sam")))


async def test_hand_in_is_checked_by_a_job_that_students_cannot_see(school: Class) -> None:
    assignment, job_id = await school.checked_assignment(), await school.run(school.olga)
    told = await school.hand_in(school.olga, assignment, job_id)
    assert told["check"] is None
    check = await school.check_job(assignment)
    job = await school.json(school.ina, "GET", f"/jobs/{check}")
    assert (job["experiment"], job["owner"], job["gpus"]) == ("program-check", "ina", 0)
    assert (job["spec"]["submission"], job["time_limit_seconds"]) == (str(job_id), 600)
    assert (await school.call(school.olga, "GET", f"/jobs/{check}")).status_code == 404
    assert (await school.call(school.olga, "GET", f"/programs/{job['program']['sha256']}")).status_code == 404
    listed = await school.json(school.olga, "GET", "/jobs")
    assert [one["id"] for one in listed["items"]] == [str(job_id)]
    read = await school.call(school.olga, "GET", f"/assignments/{assignment}")
    assert (read.json()["max_points"], "secret" in read.text, "check.py" in read.text) == (10.0, False, False)
    await school.hand_in(school.olga, assignment, job_id)
    assert await school.check_job(assignment) == check


async def test_points_are_seen_once_they_are_released(school: Class) -> None:
    assignment = await school.checked_assignment()
    await school.hand_in(school.olga, assignment, await school.run(school.olga))
    school.conclude(await school.check_job(assignment), {"points": 7.5, "words": "good, but slow"})
    own = f"/assignments/{assignment}/submission"
    assert (await school.json(school.olga, "GET", own))["check"] is None
    released = await school.json(school.ina, "PATCH", f"/assignments/{assignment}", json={"points_released": True})
    assert released["points_released_at"] is not None
    assert (await school.json(school.olga, "GET", own))["check"] == {
        "state": "done",
        "points": 7.5,
        "max_points": 10.0,
        "words": "good, but slow",
        "job_id": None,
    }
    await school.json(school.ina, "PATCH", f"/assignments/{assignment}", json={"points_released": False})
    assert (await school.json(school.olga, "GET", own))["check"] is None


@pytest.mark.parametrize("points", [11, -1, "8", True, None])
async def test_check_that_says_no_points_has_failed(school: Class, points: Any) -> None:
    assignment = await school.checked_assignment()
    await school.hand_in(school.olga, assignment, await school.run(school.olga))
    school.conclude(await school.check_job(assignment), {} if points is None else {"points": points})
    page = await school.json(school.ina, "GET", f"/assignments/{assignment}/submissions")
    found = page["items"][0]["check"]
    assert (found["state"], found["points"]) == ("failed", None)
    assert "did not return points between 0 and 10" in found["words"]


async def test_another_hand_in_is_checked_anew_and_staff_can_ask_again(school: Class) -> None:
    assignment = await school.checked_assignment()
    await school.hand_in(school.olga, assignment, await school.run(school.olga))
    first = await school.check_job(assignment)
    school.seeds.run(first)
    school.seeds.finish(first, JobState.FAILED, FailureCause.ERROR)
    page = await school.json(school.ina, "GET", f"/assignments/{assignment}/submissions")
    assert (page["items"][0]["check"]["state"], page["items"][0]["check"]["words"]) == ("failed", "it broke")
    await school.json(school.ina, "POST", f"/assignments/{assignment}/submissions/{school.olga.id}/check")
    second = await school.check_job(assignment)
    await school.hand_in(school.olga, assignment, await school.run(school.olga, "2"))
    assert len({first, second, await school.check_job(assignment)}) == 3


async def test_grades_are_a_table_of_the_class(school: Class) -> None:
    assignment = await school.checked_assignment(deadline="2999-06-30")
    job_id = await school.run(school.olga)
    await school.hand_in(school.olga, assignment, job_id)
    school.conclude(await school.check_job(assignment), {"points": 8, "words": "=1+1"})
    answer = await school.call(school.ina, "GET", f"/assignments/{assignment}/grades.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    olga = rows["olga"]
    assert (olga["points"], olga["max_points"], olga["check"], olga["check_words"]) == ("8", "10", "done", "'=1+1")
    assert (olga["late"], olga["job_id"]) == ("no", str(job_id))
    assert rows["sam"]["points"] == rows["sam"]["handed_in_at_utc"] == ""
    assert "ina" not in rows
    assert (await school.call(school.olga, "GET", f"/assignments/{assignment}/grades.csv")).status_code == 403


async def test_starter_is_run_by_the_class(school: Class) -> None:
    sha = await school.program(school.ina, train="start")
    starter = {"experiment": "script", "spec": {"program": sha, "command": ["python", "train.py"]}}
    assignment = await school.checked_assignment(starter=starter)
    found = (await school.json(school.olga, "GET", f"/assignments/{assignment}"))["starter"]
    assert found["spec"]["parameters"] == {}
    assert (await school.call(school.olga, "GET", f"/programs/{sha}/archive")).status_code == 200
    job = await school.json(school.olga, "POST", "/jobs", json=found)
    assert job["program"]["sha256"] == sha
    await school.json(school.ina, "PATCH", f"/assignments/{assignment}", json={"starter": None})
    assert (await school.json(school.olga, "GET", f"/assignments/{assignment}"))["starter"] is None


async def test_staff_see_the_hidden_check_and_students_never_do(school: Class) -> None:
    assignment = await school.checked_assignment()
    for address in (f"/assignments/{assignment}", "/assignments"):
        seen = [await school.json(user, "GET", address) for user in (school.ina, school.olga)]
        staff, student = (answer["items"][0] if "items" in answer else answer for answer in seen)
        assert (staff["hidden_check"]["max_points"], staff["hidden_check"]["time_limit_seconds"]) == (10, 600)
        assert staff["hidden_check"]["spec"]["command"] == ["python", "check.py"]
        assert "owner_id" not in staff["hidden_check"]
        assert student["hidden_check"] is None
    overview = await school.json(school.ina, "GET", f"/assignments/{assignment}/overview")
    assert overview["assignment"]["hidden_check"] == staff["hidden_check"]
    work = await school.json(school.olga, "GET", f"/assignments/{assignment}/work")
    assert work["assignment"]["hidden_check"] is None
    cleared = await school.json(school.ina, "PATCH", f"/assignments/{assignment}", json={"hidden_check": None})
    assert cleared["hidden_check"] is None


@pytest.mark.parametrize(
    ("field", "order", "path"),
    [
        ("starter", {"experiment": "script", "spec": {"command": ["python"]}}, STARTER),
        ("starter", {"experiment": "notebook", "spec": {"program": NONE, "notebook": "a.ipynb"}}, STARTER),
        ("hidden_check", {"max_points": 1, "spec": {"program": NONE, "command": ["x"]}}, CHECK),
        ("hidden_check", {"max_points": 0, "spec": {}}, "hidden_check.max_points"),
    ],
)  # fmt: skip
async def test_program_that_cannot_run_is_refused_with_its_field(
    school: Class, field: str, order: Any, path: str
) -> None:
    body = {"name": "One", "deadline": "2999-01-01", "experiments": ["script"], field: order}
    answer = await school.call(school.ina, "POST", "/assignments", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


async def test_student_cannot_submit_a_check(school: Class) -> None:
    job_id = await school.run(school.sam)
    spec = {
        "program": await school.program(school.olga, a="1"),
        "command": ["python", "a.py"],
        "submission": str(job_id),
    }
    answer = await school.call(school.olga, "POST", "/jobs", json={"experiment": "program-check", "spec": spec})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-experiment")


async def test_hand_ins_of_many_are_checked_again_and_who_has_none_is_named(school: Class) -> None:
    assignment = await school.checked_assignment()
    await school.hand_in(school.olga, assignment, await school.run(school.olga))
    first = await school.check_job(assignment)
    order = {"user_ids": [str(school.olga.id), str(school.ina.id), str(school.sam.id)]}
    done = await school.json(school.ina, "POST", f"/assignments/{assignment}/students/check", json=order)
    assert (done["done"], done["runs"]) == (1, 1)
    assert [(one["user"], one["reason"]) for one in done["not_done"]] == [
        (school.sam.name, "has handed nothing in"),
        (None, "no student has this id"),
    ]
    assert await school.check_job(assignment) != first
