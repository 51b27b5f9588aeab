"""Grades: who gives them and whose count, when students see them, corrections by a table, and re-runs of a class."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from gpulab.states import Role
from models import Assignment
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish
from tests.integration.api.test_assignment_programs import Class, school

__all__ = ["school"]

PUT, GET, POST, PATCH, DELETE = "PUT", "GET", "POST", "PATCH", "DELETE"


async def plain_assignment(school: Class, **more: Any) -> str:
    order = {"name": "Plain", "deadline": "2999-01-01", "experiments": ["dropout-linear"], **more}
    found: str = (await school.json(school.ina, POST, "/assignments", json=order))["id"]
    return found


async def handed_in(school: Class, who: SeededUser, assignment: str, result: dict[str, Any] | None = None) -> UUID:
    job_id = school.seeds.job(who)
    finish(school.seeds, job_id, result or {"loss": 1.0})
    await school.hand_in(who, assignment, job_id)
    return job_id


async def graded(school: Class, who: SeededUser, assignment: str, **order: Any) -> Any:
    return await school.json(school.ina, PUT, f"/assignments/{assignment}/grades/{who.id}", json=order)


async def test_hand_wins_over_check_over_rerun_and_what_each_said_is_kept(school: Class) -> None:
    assignment = await school.checked_assignment(rerun_points=4.0)
    job_id = await school.run(school.olga)
    await school.hand_in(school.olga, assignment, job_id)
    path = f"/assignments/{assignment}/grades/{school.olga.id}"
    assert (await school.json(school.ina, GET, path))["points"] is None

    again = await school.json(school.ina, POST, f"/assignments/{assignment}/submissions/{school.olga.id}/rerun")
    school.seeds.run(UUID(again["id"]))
    school.seeds.finish(UUID(again["id"]))
    by_rerun = await school.json(school.ina, GET, path)
    assert (by_rerun["points"], by_rerun["source"], by_rerun["max_points"]) == (4.0, "rerun", 10.0)

    school.conclude(await school.check_job(assignment), {"points": 7, "words": "slow"})
    by_check = await school.json(school.ina, GET, path)
    assert (by_check["points"], by_check["source"], by_check["comment"]) == (7.0, "check", None)

    by_hand = await graded(school, school.olga, assignment, points=9.5, comment="Well done")
    assert (by_hand["points"], by_hand["final_points"], by_hand["source"]) == (9.5, 9.5, "hand")
    said = [(one["source"], one["state"], one["points"], one["comment"], one["by"]) for one in by_hand["sources"]]
    assert said == [
        ("hand", "done", 9.5, "Well done", "ina"),
        ("check", "done", 7.0, "slow", "ina"),
        ("rerun", "same", 4.0, None, "ina"),
    ]
    assert all(one["at"] is not None for one in by_hand["sources"])

    remarked = await graded(school, school.olga, assignment, comment="See me")
    assert (remarked["points"], remarked["source"], remarked["comment"]) == (7.0, "check", "See me")
    assert (await school.call(school.ina, DELETE, path)).status_code == 204
    back = await school.json(school.ina, GET, path)
    assert (back["source"], back["comment"]) == ("check", None)
    assert [(one["points"], one["comment"], one["removed"]) for one in back["history"]] == [
        (None, None, True),
        (None, "See me", False),
        (9.5, "Well done", False),
    ]
    assert (await school.call(school.ina, DELETE, path)).json()["type"] == "/problems/grade-not-found"


async def test_rerun_outside_the_tolerance_gives_no_points(school: Class) -> None:
    assignment = await plain_assignment(school, rerun_points=5.0, tolerance=0.01)
    await handed_in(school, school.olga, assignment, {"loss": 1.0})
    again = await school.json(school.ina, POST, f"/assignments/{assignment}/submissions/{school.olga.id}/rerun")
    finish(school.seeds, UUID(again["id"]), {"loss": 1.5})
    path = f"/assignments/{assignment}/grades/{school.olga.id}"
    found = await school.json(school.ina, GET, path)
    assert (found["points"], found["source"], found["sources"][0]["state"]) == (0.0, "rerun", "different")
    await school.json(school.ina, PATCH, f"/assignments/{assignment}", json={"rerun_points": None})
    found = await school.json(school.ina, GET, path)
    assert (found["points"], found["sources"][0]["state"]) == (None, "different")


async def test_rubric_adds_up_and_late_days_come_off_whoever_gave_the_points(school: Class) -> None:
    assignment = await plain_assignment(school, max_points=10.0, late_deduction=25.0)
    with school.seeds.engine.begin() as connection:
        due = datetime.now(UTC) - timedelta(hours=30)
        connection.execute(update(Assignment).where(Assignment.id == assignment).values(deadline=due))
    await handed_in(school, school.olga, assignment)
    lines = [{"text": "Plots", "points": 6}, {"text": "Answer", "points": 3.5}, {"text": "No labels", "points": -1.5}]
    found = await graded(school, school.olga, assignment, rubric=lines)
    assert (found["points"], found["days_late"], found["deduction"], found["final_points"]) == (8.0, 2, 50.0, 4.0)
    assert [line["text"] for line in found["rubric"]] == ["Plots", "Answer", "No labels"]


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({}, "points"),
        ({"points": -1}, "points"),
        ({"points": 10.5}, "points"),
        ({"points": "8"}, "points"),
        ({"points": True}, "points"),
        ({"comment": ""}, "comment"),
        ({"comment": "x" * 5001}, "comment"),
        ({"points": 1, "rubric": [{"text": "a", "points": 1}]}, "points"),
        ({"rubric": [{"text": "a", "points": 11}]}, "rubric"),
        ({"rubric": [{"text": "a", "points": -1}]}, "rubric"),
        ({"rubric": [{"text": "", "points": 1}]}, "rubric.0.text"),
        ({"rubric": [{"text": "a", "points": 1}] * 51}, "rubric"),
        ({"grade": "A"}, "grade"),
    ],
)
async def test_bad_grade_is_refused_with_its_field(school: Class, order: dict[str, Any], path: str) -> None:
    assignment = await plain_assignment(school, max_points=10.0)
    answer = await school.call(school.ina, PUT, f"/assignments/{assignment}/grades/{school.olga.id}", json=order)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path), answer.text
    assert (await school.json(school.ina, GET, f"/assignments/{assignment}/grades/{school.olga.id}"))["history"] == []


async def test_points_of_a_source_may_not_exceed_those_of_the_assignment(school: Class) -> None:
    order = {"name": "Plain", "deadline": "2999-01-01", "experiments": ["dropout-linear"], "max_points": 5}
    answer = await school.call(school.ina, POST, "/assignments", json={**order, "rerun_points": 6})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "rerun_points")
    checked = await school.checked_assignment()
    answer = await school.call(school.ina, PATCH, f"/assignments/{checked}", json={"max_points": 9})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "hidden_check.max_points")
    nobody = await school.call(school.ina, PUT, f"/assignments/{checked}/grades/{school.ina.id}", json={"points": 1})
    assert (nobody.status_code, nobody.json()["type"]) == (404, "/problems/user-not-found")


async def test_points_of_an_assignment_do_not_fall_below_a_grade_that_stands(school: Class) -> None:
    assignment = await plain_assignment(school, max_points=10.0)
    path = f"/assignments/{assignment}"
    await graded(school, school.olga, assignment, points=9.25)
    await graded(school, school.sam, assignment, points=10.0)
    await graded(school, school.sam, assignment, points=2.0)
    answer = await school.call(school.ina, PATCH, path, json={"max_points": 8, "rerun_points": 1})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["path"], error["limit"], error["value"]) == (422, "max_points", {"ge": 9.25}, 8)
    assert error["message"] == "1 grade has more points, up to 9.25"
    assert (await school.json(school.ina, PATCH, path, json={"max_points": 9.25}))["max_points"] == 9.25
    await school.call(school.ina, DELETE, f"{path}/grades/{school.olga.id}")
    assert (await school.json(school.ina, PATCH, path, json={"max_points": 2}))["max_points"] == 2


async def test_assignment_is_renamed_but_not_as_another_one(school: Class) -> None:
    assignment = await plain_assignment(school)
    order = {"name": "Other", "deadline": "2999-01-01", "experiments": ["dropout-linear"]}
    await school.json(school.ina, POST, "/assignments", json=order)
    taken = await school.call(school.ina, PATCH, f"/assignments/{assignment}", json={"name": "Other"})
    assert (taken.status_code, taken.json()["errors"][0]["value"]) == (409, "Other")
    for name in ("Plain", "Dropout, once more"):
        changed = await school.json(school.ina, PATCH, f"/assignments/{assignment}", json={"name": name})
        assert changed["name"] == name


async def test_student_sees_only_an_own_grade_and_only_once_released_through_any_door(
    school: Class,
) -> None:
    assignment = await school.checked_assignment()
    for who in (school.olga, school.sam):
        await school.hand_in(who, assignment, await school.run(who))
    words, other = "of-olga-alone", "of-sam-alone"
    await graded(school, school.olga, assignment, rubric=[{"text": words, "points": 6.25}], comment=words)
    await graded(school, school.sam, assignment, points=3.125, comment=other)
    again = await school.json(school.ina, POST, f"/assignments/{assignment}/submissions/{school.olga.id}/rerun")
    job_id = (await school.json(school.olga, GET, "/jobs"))["items"][0]["id"]
    doors = (
        *("/me", "/assignments", f"/assignments/{assignment}", f"/assignments/{assignment}/work"),
        *(f"/assignments/{assignment}/submission", f"/assignments/{assignment}/grade"),
        *(f"/jobs/{job_id}", f"/jobs/{job_id}/events", "/jobs", "/queue", "/timeline", "/studies"),
        *(f"/assignments/{assignment}/grades", f"/assignments/{assignment}/grades.csv", "/audit"),
        *(f"/assignments/{assignment}/grades/{school.olga.id}", f"/assignments/{assignment}/reruns"),
        *(f"/assignments/{assignment}/submissions", f"/assignments/{assignment}/overview"),
    )

    async def seen() -> str:
        return "".join([(await school.call(school.olga, GET, door)).text for door in doors])

    before = await seen()
    assert [secret for secret in (words, other, "6.25", "3.125", again["id"]) if secret in before] == []
    assert (await school.call(school.olga, GET, f"/jobs/{again['id']}")).status_code == 404
    await school.json(school.ina, PATCH, f"/assignments/{assignment}", json={"points_released": True})
    own = await school.json(school.olga, GET, f"/assignments/{assignment}/grade")
    assert (own["points"], own["comment"], own["rubric"]) == (6.25, words, [{"text": words, "points": 6.25}])
    assert own["sources"] == []
    listed = await school.json(school.olga, GET, "/assignments")
    assert listed["items"][0]["your_grade"] == own
    after = await seen()
    assert [secret for secret in (other, "3.125", again["id"], school.sam.name) if secret in after] == []
    await school.json(school.ina, PATCH, f"/assignments/{assignment}", json={"points_released": False})
    hidden = await seen()
    assert words not in hidden
    assert (await school.call(school.olga, GET, f"/assignments/{assignment}/grade")).status_code == 404


async def test_another_hand_in_says_that_the_grade_is_of_an_earlier_run(school: Class) -> None:
    assignment = await plain_assignment(school)
    await handed_in(school, school.olga, assignment)
    assert (await graded(school, school.olga, assignment, points=5))["of_earlier_run"] is False
    await handed_in(school, school.olga, assignment)
    path = f"/assignments/{assignment}/grades/{school.olga.id}"
    found = await school.json(school.ina, GET, path)
    assert (found["of_earlier_run"], found["points"]) == (True, 5.0)


async def test_corrections_are_written_whole_or_not_at_all(school: Class) -> None:
    assignment = await plain_assignment(school, max_points=10.0)
    await handed_in(school, school.olga, assignment)
    await graded(school, school.olga, assignment, points=5, comment="ok")
    path = f"/assignments/{assignment}/grades/import"
    wrong = await school.call(school.ina, POST, path, json={"csv": "name,points\nolga,6\nsam,11\neve,1\n"})
    assert wrong.status_code == 422
    errors = [(one["path"], one["value"], one.get("limit")) for one in wrong.json()["errors"]]
    assert errors == [("csv.3.points", "11", {"ge": 0, "le": 10.0}), ("csv.4.name", "eve", None)]
    table = {"csv": "name,points,comment\nolga,6,\nsam,,nothing there\n"}
    tried = await school.json(school.ina, POST, path, json={**table, "dry_run": True})
    assert (tried["changed"], tried["kept"]) == (2, 0)
    row = tried["rows"][0]
    assert (row["line"], row["points_before"], row["points_after"], row["comment_after"]) == (2, 5.0, 6.0, "ok")
    one = f"/assignments/{assignment}/grades/{school.olga.id}"
    assert (await school.json(school.ina, GET, one))["points"] == 5.0
    await school.json(school.ina, POST, path, json=table)
    found = await school.json(school.ina, GET, one)
    assert (found["points"], found["comment"], found["history"][0]["from_table"]) == (6.0, "ok", True)
    again = await school.json(school.ina, POST, path, json=table)
    assert (again["changed"], again["kept"]) == (0, 2)


async def test_exported_table_comes_back_without_a_change_and_a_corrected_line_alone_is_by_hand(
    school: Class,
) -> None:
    assignment = await school.checked_assignment()
    for who in (school.olga, school.sam):
        await school.hand_in(who, assignment, await school.run(who))
    page = await school.json(school.ina, GET, f"/assignments/{assignment}/submissions")
    for one in page["items"]:
        school.conclude(UUID(one["check"]["job_id"]), {"points": 7, "words": "=1+1"})
    exported = (await school.call(school.ina, GET, f"/assignments/{assignment}/grades.csv")).text
    path = f"/assignments/{assignment}/grades/import"
    same = await school.json(school.ina, POST, path, json={"csv": exported})
    assert (same["changed"], same["kept"]) == (0, 2)
    rows = list(csv.DictReader(io.StringIO(exported)))
    rows[1]["points"] = "8"
    written = io.StringIO()
    table = csv.DictWriter(written, rows[0].keys())
    table.writeheader()
    table.writerows(rows)
    assert (await school.json(school.ina, POST, path, json={"csv": written.getvalue()}))["changed"] == 1
    found = (await school.json(school.ina, GET, f"/assignments/{assignment}/grades"))["items"]
    assert [(one["user"], one["points"], one["source"]) for one in found] == [
        ("olga", 7.0, "check"),
        ("sam", 8.0, "hand"),
    ]


async def test_every_grade_has_an_event_of_the_audit_and_a_dry_run_none(school: Class) -> None:
    assignment = await plain_assignment(school)
    await graded(school, school.olga, assignment, points=5)
    path = f"/assignments/{assignment}/grades"
    table = {"csv": "name,points\nolga,6\nsam,7\n"}
    await school.json(school.ina, POST, f"{path}/import", json={**table, "dry_run": True})
    await school.json(school.ina, POST, f"{path}/import", json=table)
    await school.call(school.ina, DELETE, f"{path}/{school.sam.id}")
    events = (await school.json(school.ina, GET, "/audit"))["items"]
    told = [(one["action"], one["target"], one["details"]["points"]) for one in events if "grade." in one["action"]]
    olga, sam = f"user:{school.olga.id}", f"user:{school.sam.id}"
    assert told[0] == ("grade.removed", sam, None)
    assert sorted(told[1:3]) == sorted([("grade.given", olga, 6), ("grade.given", sam, 7)])
    assert told[3] == ("grade.given", olga, 5)


async def test_class_is_paged_by_name_and_namesakes_are_all_there(school: Class) -> None:
    assignment = await plain_assignment(school)
    twins = [{"name": "Twin", "email": f"t{number}@example.org"} for number in range(3)]
    ids = {(await school.json(school.ina, POST, "/users", json=one))["id"] for one in twins}
    path, found, cursor = f"/assignments/{assignment}/grades", [], ""
    while True:
        page = await school.json(school.ina, GET, f"{path}?limit=2{cursor}")
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(found) == len({one["user_id"] for one in found}) == 5
    assert ids <= {one["user_id"] for one in found}


async def test_whole_class_is_run_again_a_part_at_a_time(
    school: Class, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.grades.reruns.RERUNS_PER_CALL", 2)
    assignment = await plain_assignment(school)
    students = [school.olga, school.sam, seeds.user("tim", Role.STUDENT)]
    for who in students:
        await handed_in(school, who, assignment)
    path = f"/assignments/{assignment}/reruns"
    first = await school.json(school.ina, POST, path, json={})
    assert (first["started"], first["remaining"]) == (2, 1)
    last = await school.json(school.ina, POST, path, json={"after": first["next_after"]})
    assert (last["started"], last["remaining"], last["next_after"]) == (1, 0, None)
    nothing = await school.json(school.ina, POST, path, json={})
    assert (nothing["started"], nothing["remaining"]) == (0, 0)
    jobs = (await school.json(school.ina, GET, f"/jobs?owner={school.ina.id}"))["items"]
    for job, result in zip(jobs, ({"loss": 1.0}, {"loss": 2.0}, None), strict=True):
        finish(seeds, UUID(job["id"]), result)
    counts = {"submissions": 3, "missing": 0, "waiting": 0, "same": 1, "different": 1, "failed": 1}
    assert await school.json(school.ina, GET, path) == counts
    failed_again = await school.json(school.ina, POST, path, json={})
    assert failed_again["started"] == 1
    everyone = await school.json(school.ina, POST, path, json={"everyone": True})
    assert (everyone["started"], everyone["remaining"]) == (2, 1)


async def test_full_queue_stops_the_reruns_with_a_reason(school: Class, seeds: Seeds, admin: SeededUser) -> None:
    assignment = await plain_assignment(school)
    for who in (school.olga, school.sam):
        await handed_in(school, who, assignment)
    limited = await school.call(admin, PATCH, f"/users/{school.ina.id}", json={"max_queued": 1})
    assert limited.status_code == 200, limited.text
    path = f"/assignments/{assignment}/reruns"
    part = await school.json(school.ina, POST, path, json={})
    assert (part["started"], part["remaining"]) == (1, 1)
    assert "the limit is 1" in part["stopped_by"]
    refused = await school.call(school.ina, POST, path, json={"after": part["next_after"]})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/queue-limit-reached")


async def test_table_of_grades_names_its_columns(school: Class) -> None:
    assignment = await plain_assignment(school, max_points=10.0)
    await graded(school, school.olga, assignment, points=5)
    table = await school.call(school.ina, GET, f"/assignments/{assignment}/grades.csv?columns=canvas")
    assert table.text.splitlines()[0] == "Student,ID,SIS User ID,SIS Login ID,Section,Plain"
    assert table.text.splitlines()[2] == "olga,,,,,5"
    unknown = await school.call(school.ina, GET, f"/assignments/{assignment}/grades.csv?columns=blackboard")
    assert (unknown.status_code, unknown.json()["errors"][0]["path"]) == (422, "query.columns")
