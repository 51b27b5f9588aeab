"""Late work, extensions, and a deadline that moves."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import update

from gpulab.schemas.assignments import AssignmentRead, OverviewRead, SubmissionRead
from models import Assignment
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.test_assignments import assigned, pinned, ran, users

__all__ = ["users"]


async def test_late_work_is_accepted_for_its_days_and_costs(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client, late_days=2, late_deduction=10.0)
    ann, ben = users["ann"], users["ben"]
    of_ann, of_ben = (ran(seeds, who, {"loss": 1.0}) for who in (ann, ben))
    move(seeds, homework, timedelta(hours=-30))
    late = SubmissionRead.model_validate_json((await pinned(client, homework, of_ann, ann)).content)
    assert (late.late, late.days_late, late.deduction, late.deduction_unit) == (True, 2, 20.0, "percent")
    grades = (await client.get(f"/v1/assignments/{homework.id}/grades.csv")).text
    assert "yes,2,20 percent" in grades
    move(seeds, homework, timedelta(hours=-49))
    refused = await pinned(client, homework, of_ben, ben)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/assignment-over")
    assert "late work was accepted for 2 days, until" in refused.json()["detail"]
    await client.patch(f"/v1/assignments/{homework.id}", json={"late_days": 0})
    none = await pinned(client, homework, of_ben, ben)
    assert "late_days is 0" in none.json()["detail"]
    await client.patch(f"/v1/assignments/{homework.id}", json={"late_days": None, "late_deduction_unit": "points"})
    taken = SubmissionRead.model_validate_json((await pinned(client, homework, of_ben, ben)).content)
    assert (taken.days_late, taken.deduction, taken.deduction_unit) == (3, 30.0, "points")


def move(seeds: Seeds, homework: AssignmentRead, by: timedelta) -> None:
    """The deadline, as time does."""
    with seeds.engine.begin() as connection:
        connection.execute(
            update(Assignment).where(Assignment.id == homework.id).values(deadline=datetime.now(UTC) + by)
        )


async def test_extension_of_a_user_or_a_section_moves_their_deadline_alone(
    client: httpx.AsyncClient, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client, deadline="2999-01-01T00:00:00Z", late_days=0)
    ann, ben, cat = (users[name] for name in ("ann", "ben", "cat"))
    await client.patch(f"/v1/users/{ben.id}", json={"section": "B"})
    path = f"/v1/assignments/{homework.id}/extensions"
    of_ann = await client.post(path, json={"user_id": str(ann.id), "deadline": "2999-02-01", "reason": "ill"})
    of_b = await client.post(path, json={"section": "B", "deadline": "2999-03-01T12:00:00Z"})
    nobody = await client.post(path, json={"section": "Z", "deadline": "2999-03-01"})
    assert (nobody.status_code, nobody.json()["errors"][0]["path"]) == (422, "section")
    assert (of_ann.status_code, of_ann.json()["user"], of_b.json()["section"]) == (200, "ann", "B")

    async def due(who: SeededUser) -> str:
        text: str = (await client.get(f"/v1/assignments/{homework.id}", headers=who.headers)).json()["your_deadline"]
        return text

    assert [await due(who) for who in (ann, ben, cat)] == [
        *("2999-02-01T23:59:59Z", "2999-03-01T12:00:00Z", "2999-01-01T00:00:00Z")
    ]
    assert "ill" not in (await client.get(f"/v1/assignments/{homework.id}", headers=ann.headers)).text
    # The later one of the two counts, and a second one for the same user replaces the first.
    again = await client.post(path, json={"user_id": str(ben.id), "deadline": "2999-02-01"})
    assert await due(ben) == "2999-03-01T12:00:00Z"
    replaced = await client.post(path, json={"user_id": str(ben.id), "deadline": "2999-04-01T00:00:00Z"})
    assert (replaced.json()["id"], await due(ben)) == (again.json()["id"], "2999-04-01T00:00:00Z")
    move(seeds, homework, timedelta(hours=-1))
    runs = {who.id: ran(seeds, who, {"loss": 1.0}) for who in (ann, cat)}
    in_time, over = [await pinned(client, homework, runs[who.id], who) for who in (ann, cat)]
    assert (in_time.status_code, in_time.json()["late"], over.status_code) == (200, False, 409)
    overview = OverviewRead.model_validate_json((await client.get(f"/v1/assignments/{homework.id}/overview")).content)
    handed_in = {one.name: one.submission for one in overview.students}["ann"]
    assert handed_in is not None
    assert handed_in.late is False
    ended = await client.delete(f"{path}/{of_ann.json()['id']}")
    missing = await client.delete(f"{path}/{of_ann.json()['id']}")
    assert (ended.status_code, missing.status_code) == (204, 404)
    listed = (await client.get(path)).json()["items"]
    assert [(one["user"], one["section"]) for one in listed] == [("ben", None), (None, "B")]
    actions = [one["action"] for one in (await client.get("/v1/audit")).json()["items"]]
    assert {"assignment.extended", "assignment.extension_ended"} <= set(actions)


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({"deadline": "2999-02-01"}, "user_id"),
        ({"user_id": "{ann}", "section": "B", "deadline": "2999-02-01"}, "user_id"),
        ({"user_id": "{admin}", "deadline": "2999-02-01"}, "user_id"),
        ({"user_id": "{ann}", "deadline": "2998-12-31"}, "deadline"),
        ({"user_id": "{ann}", "deadline": "soon"}, "deadline"),
    ],
)
async def test_bad_extension_is_refused(
    client: httpx.AsyncClient, users: dict[str, SeededUser], admin: SeededUser, order: dict[str, str], path: str
) -> None:
    homework = await assigned(client)
    ids = {"{ann}": str(users["ann"].id), "{admin}": str(admin.id)}
    body = {name: ids.get(value, value) for name, value in order.items()}
    answer = await client.post(f"/v1/assignments/{homework.id}/extensions", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path), answer.text


async def test_changed_deadline_is_shown_with_its_history(
    client: httpx.AsyncClient, users: dict[str, SeededUser]
) -> None:
    homework = await assigned(client, deadline="2999-01-01T00:00:00Z")
    path = f"/v1/assignments/{homework.id}"
    for deadline in ("2999-01-08T00:00:00Z", "2999-01-08T00:00:00Z", "2999-01-05T00:00:00Z"):
        assert (await client.patch(path, json={"deadline": deadline})).status_code == 200
    found = (await client.get(path, headers=users["ann"].headers)).json()

    assert [(one["before"], one["after"]) for one in found["deadline_changes"]] == [
        ("2999-01-01T00:00:00Z", "2999-01-08T00:00:00Z"),
        ("2999-01-08T00:00:00Z", "2999-01-05T00:00:00Z"),
    ]
