"""What two courses share: accounts, the queue, banners, GPUs, the audit; and what that gives nobody."""

import io
import json
import zipfile
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select

from api.auth.principal import Principal
from api.auth.standing import Membership, Standing
from api.live import stream
from gpulab.states import Role
from models.statements import queue, usage
from models.statements.notifications import delivery, outbox
from models.tables.notifications.outbox import Notification, NotificationChannel
from tests.integration.api.course_lab import TwoCourses, two_courses
from tests.integration.api.seeds import ORDER, Seeds
from tests.integration.api.study_calls import GRID

UNTIL = "2999-01-01"


@pytest.fixture
async def lab(anonymous: httpx.AsyncClient, seeds: Seeds) -> TwoCourses:
    return await two_courses(anonymous, seeds)


async def teaches(lab: TwoCourses, who: str, course: str) -> None:
    await lab.good("admin", "PUT", f"courses/{course}/members/{lab.users[who].id}", role="instructor")


async def archive(lab: TwoCourses, course: str) -> None:
    await lab.good("admin", "PATCH", f"courses/{course}", archived=True)


async def test_high_priority_is_for_instructors_of_the_runs_course(lab: TwoCourses) -> None:
    await teaches(lab, "ann", lab.language)
    for path, order in (("jobs", ORDER), ("studies", GRID), ("jobs?dry_run=true", ORDER)):
        refused = await lab.call("ann", "POST", path, **order, priority="high", course_id=lab.vision)
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "priority"), path
        given = await lab.call("ann", "POST", path, **order, priority="high", course_id=lab.language)
        assert given.is_success, given.text
    run = lab.ran("ann", lab.vision, priority="high")
    assert (await lab.good("ann", "POST", f"jobs/{run}/retry"))["priority"] == "normal"
    assert (await lab.good("vera", "POST", f"jobs/{run}/retry"))["priority"] == "high"


async def test_weights_and_limits_take_from_the_whole_lab(lab: TwoCourses) -> None:
    ann = lab.users["ann"].id
    for name, value in (("weight", 5.0), ("max_running", 9), ("max_queued", 9), ("max_gpu_hours", 9.0)):
        for method, path, order in (("PATCH", f"users/{ann}", {}), ("POST", "users", {"name": "di"})):
            refused = await lab.call("vera", method, path, **order, **{name: value})
            assert (refused.status_code, name in refused.json()["detail"]) == (403, True), (path, refused.text)
        await lab.good("admin", "PATCH", f"users/{ann}", **{name: value})
    assert (await lab.good("vera", "POST", "users", name="di", weight=1.0))["weight"] == 1.0


async def test_only_admins_manage_who_teaches_a_course(lab: TwoCourses) -> None:
    cy = lab.users["cy"].id
    await lab.good("admin", "PATCH", f"users/{cy}", email="cy@example.org")
    await teaches(lab, "cy", lab.language)
    for method, path, order in (
        ("PATCH", f"users/{cy}", {"section": "A"}),
        ("POST", f"users/{cy}/disable", {}),
        ("POST", "tokens", {"name": "mine now", "user_id": str(cy)}),
    ):
        refused = await lab.call("lars", method, path, **order)
        assert (refused.status_code, "instructor of a course" in refused.text) == (403, True), (path, refused.text)
    table = "name,email,section\nCyril,cy@example.org,new\n"
    own = await lab.call("lars", "POST", "roster", csv=table)
    assert (own.status_code, own.json()["errors"][0]["path"]) == (422, "csv.2.email")
    # In another course they are a student like any other, with the account as it is.
    other = await lab.good("vera", "POST", "roster", csv=table)
    assert [one["field"] for one in other["rows"][0]["changes"]] == ["course"]
    assert (await lab.good("vera", "GET", f"users/{cy}"))["name"] == "cy"


async def test_banner_of_an_instructor_is_for_their_course(lab: TwoCourses) -> None:
    async def banners(who: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await lab.good(who, "GET", "banners"))["items"]
        return found

    async def texts(who: str) -> list[str]:
        return sorted(one["text"] for one in await banners(who))

    made = await lab.good("vera", "POST", "banners", text="Room 7", ends_at=UNTIL)
    assert made["course_id"] == lab.vision
    everybodys = await lab.good("admin", "POST", "banners", text="New driver", ends_at=UNTIL)
    assert everybodys["course_id"] is None
    homework = await lab.homework("vera", lab.vision)
    path = f"assignments/{homework}/students/message"
    await lab.good("vera", "POST", path, user_ids=[str(lab.users["bo"].id)], text="See me", ends_at=UNTIL)
    seen = {who: await texts(who) for who in lab.users}
    assert seen["ann"] == ["New driver", "Room 7"]
    assert seen["bo"] == seen["vera"] == seen["admin"] == ["New driver", "Room 7", "See me"]
    assert seen["cy"] == seen["lars"] == ["New driver"]
    ends = {who: {one["text"] for one in await banners(who) if one["can_end"]} for who in lab.users}
    assert ends["vera"] == {"Room 7", "See me"}
    assert ends["admin"] == set(seen["admin"])
    assert not any(ends[who] for who in ("ann", "bo", "cy", "lars"))
    assert (await lab.call("lars", "DELETE", f"banners/{made['id']}")).status_code == 404
    assert (await lab.call("vera", "DELETE", f"banners/{everybodys['id']}")).status_code == 403
    assert (await lab.call("vera", "DELETE", f"banners/{made['id']}")).status_code == 204
    strange = await lab.call("vera", "POST", "banners", text="Hi", ends_at=UNTIL, course_id=lab.language)
    assert (strange.status_code, strange.json()["errors"][0]["path"]) == (422, "course_id")


async def test_lab_hours_are_for_members_and_end_with_the_course(lab: TwoCourses) -> None:
    lab.seeds.gpu("GPU-1")
    hours = {"name": "Lab", "gpus": 1, "start": "2999-01-07T10:00", "end": "2999-01-07T12:00"}
    stranger = await lab.call("vera", "POST", "lab-hours", **hours, user_ids=[str(lab.users["cy"].id)])
    assert (stranger.status_code, stranger.json()["errors"][0]["path"]) == (422, "user_ids.0")
    await lab.good("vera", "POST", "lab-hours", **hours, user_ids=[str(lab.users["ann"].id)])

    def kept() -> int:
        with lab.seeds.engine.begin() as connection:
            return len(connection.execute(queue.lab_hours()).all())

    assert kept() == 1
    await archive(lab, lab.vision)
    assert kept() == 0
    assert (await lab.good("vera", "GET", "lab-hours"))["items"] == []
    # Their GPUs are free for others.
    await lab.good("lars", "POST", "lab-hours", **hours, user_ids=[str(lab.users["cy"].id)])


async def test_deadline_of_an_archived_course_is_nobodys(lab: TwoCourses) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
    await lab.homework("vera", lab.vision, deadline=tomorrow)
    ann, bo = (lab.users[name].id for name in ("ann", "bo"))

    def told() -> tuple[bool, int]:
        with lab.seeds.engine.begin() as connection:
            near = ann in connection.execute(usage.deadline_near(7.0)).scalars().all()
            connection.execute(outbox.remind())
            return near, len(connection.execute(select(Notification.id)).all())

    await archive(lab, lab.vision)
    with lab.seeds.engine.begin() as connection:
        for user_id in (ann, bo):
            connection.execute(insert(NotificationChannel).values(user_id=user_id, channel="mail", kinds=["deadline"]))
    assert told() == (False, 0)
    await lab.good("admin", "PATCH", f"courses/{lab.vision}", archived=False)
    assert told() == (True, 2)
    with lab.seeds.engine.begin() as connection:
        named = [connection.execute(delivery.unsent(one, "mail", 9)).one().assignment for one in (ann, bo)]
    assert named == ["Homework", "Homework (Vision)"]


async def test_who_left_a_course_adds_no_runs_to_it(lab: TwoCourses) -> None:
    run = lab.ran("bo", lab.language)
    study = await lab.good("bo", "POST", "studies", **GRID, course_id=lab.language)
    await lab.good("admin", "DELETE", f"courses/{lab.language}/members/{lab.users['bo'].id}")
    assert (await lab.call("bo", "GET", f"jobs/{run}")).status_code == 200
    for path, order in ((f"jobs/{run}/retry", {}), (f"studies/{study['id']}/seeds", {"seeds": [9]})):
        assert (await lab.call("bo", "POST", path, **order)).status_code == 403, path
    assert (await lab.good("lars", "POST", f"jobs/{run}/retry"))["course_id"] == lab.language


async def test_owner_of_a_run_can_still_withdraw_it_from_an_archived_course(lab: TwoCourses) -> None:
    mine, other = (lab.ran("ann", lab.vision) for _ in range(2))
    await lab.good("ann", "POST", f"jobs/{mine}/share", audience="class")
    await archive(lab, lab.vision)
    assert (await lab.call("ann", "POST", f"jobs/{other}/share", audience="class")).status_code == 409
    assert (await lab.good("ann", "POST", f"jobs/{mine}/share", audience=None))["shared_with"] is None
    kept = (await lab.good("vera", "POST", "jobs/delete", job_ids=[str(mine)]))["kept"]
    assert [one["because"] for one in kept] == ["course_archived"]
    assert (await lab.good("ann", "POST", "jobs/delete", job_ids=[str(mine), str(other)]))["kept"] == []


async def test_new_role_in_the_lab_makes_nobody_an_instructor_of_several_courses(lab: TwoCourses) -> None:
    bo = lab.users["bo"].id

    async def roles() -> set[str]:
        return {one["your_role"] for one in (await lab.good("bo", "GET", "courses"))["items"]}

    await lab.good("admin", "PATCH", f"users/{bo}", role="instructor")
    assert await roles() == {"student"}
    await teaches(lab, "bo", lab.language)
    await archive(lab, lab.language)
    await lab.good("admin", "PATCH", f"users/{bo}", role="student")
    assert await roles() == {"student"}
    await lab.good("admin", "PATCH", f"users/{bo}", role="instructor")
    assert await roles() == {"student", "instructor"}
    assert [
        one["name"] for one in (await lab.good("bo", "GET", "courses"))["items"] if one["your_role"] == "instructor"
    ] == ["Vision"]


async def test_bulk_action_reaches_only_students_of_the_course(lab: TwoCourses) -> None:
    homework = await lab.homework("vera", lab.vision)
    everybody = [str(lab.users[name].id) for name in ("ann", "bo", "cy", "lars", "vera")]
    await lab.good("cy", "POST", "jobs", **ORDER)
    await lab.good("bo", "POST", "jobs", **ORDER, course_id=lab.language)
    for path, order in (
        ("extend", {"deadline": "2999-02-01"}),
        ("message", {"text": "Hello", "ends_at": UNTIL}),
        ("cancel-waiting", {}),
    ):
        done = await lab.good("vera", "POST", f"assignments/{homework}/students/{path}", user_ids=everybody, **order)
        unknown = {one["user_id"] for one in done["not_done"] if one["user"] is None}
        assert unknown == {str(lab.users[name].id) for name in ("cy", "lars", "vera")}, path
    assert done["runs"] == 0
    assert {one["state"] for one in (await lab.good("admin", "GET", "jobs"))["items"]} == {"queued"}


async def test_stream_tells_instructors_of_their_courses(lab: TwoCourses, app: FastAPI) -> None:
    seen, unseen = lab.ran("bo", lab.vision), lab.ran("bo", lab.language)
    membership = Membership(UUID(lab.vision), Role.INSTRUCTOR, is_archived=False)
    nothing = dict.fromkeys(("max_queued", "token_id", "token_name", "token_expires_at"))
    vera = Principal(
        lab.users["vera"].id,
        "vera",
        Standing(Role.INSTRUCTOR, None, (membership,)),
        **nothing,
        address="",
        request_id="",
    )
    async with aclosing(stream.of_all(app.state.app, vera, 0)) as events:
        missed = (await anext(events)).decode()
    assert (str(seen) in missed, str(unseen) in missed) == (True, False)


async def test_audit_says_who_joined_which_course(lab: TwoCourses) -> None:
    ann = lab.users["ann"].id
    await lab.good("admin", "PUT", f"courses/{lab.language}/members/{ann}", role="student")
    (event, *_) = (await lab.good("admin", "GET", "audit?action=course.member_added"))["items"]
    assert (event["target_name"], event["details"]) == ("Language", {"user_id": str(ann)})


async def test_export_names_the_courses(lab: TwoCourses) -> None:
    lab.ran("bo", lab.language)
    await lab.good("admin", "DELETE", f"courses/{lab.language}/members/{lab.users['bo'].id}")
    answer = await lab.call("bo", "GET", f"users/{lab.users['bo'].id}/export")
    found: list[dict[str, Any]] = json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read("courses.json"))
    assert {(one["name"], one["term"], one["role"]) for one in found} == {
        ("Vision", "Autumn 2030", "student"),
        ("Language", None, None),
    }
