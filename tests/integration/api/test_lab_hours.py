"""Lab hours: who may set them, what is refused, and what students see."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from gpulab.states import Role
from models import LabHours, User
from models.settings import ApiSettings
from tests.integration.api.seeds import NODE, SeededUser, Seeds

PATH = "/v1/lab-hours"
ORDER = {"name": "Lab of A", "gpus": 1, "section": "A", "start": "2031-01-06T10:00", "end": "2031-01-06T12:00"}
WEEKLY = {**ORDER, "weekly_until": "2031-04-07"}


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"time_zone": "Europe/Berlin"})


@pytest.fixture
def lab(seeds: Seeds) -> Seeds:
    """Two GPUs; ada is in section A, ben in B."""
    seeds.node(gpu_reason=None)
    for index in range(2):
        seeds.gpu(f"GPU-{index}", index)
    return seeds


@pytest.fixture
def ada(lab: Seeds) -> SeededUser:
    return in_section(lab, "ada", "A")


@pytest.fixture
def ben(lab: Seeds) -> SeededUser:
    return in_section(lab, "ben", "B")


def in_section(lab: Seeds, name: str, section: str) -> SeededUser:
    user = lab.user(name, Role.STUDENT)
    with lab.engine.begin() as connection:
        connection.execute(update(User).where(User.id == user.id).values(section=section))
    return user


async def made(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={**WEEKLY, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{PATH}/{found['id']}"
    return found


async def test_weekly_hours_keep_their_local_time_over_summer_time(
    client: httpx.AsyncClient, lab: Seeds, ada: SeededUser
) -> None:
    found = await made(client, start="2031-03-24T10:00", end="2031-03-24T12:00")
    assert found["when"] == "Mondays 10:00 to 12:00 until 2031-04-07 (Europe/Berlin)"
    assert [one["start"] for one in found["next"]] == [
        "2031-03-24T09:00:00Z",
        "2031-03-31T08:00:00Z",
        "2031-04-07T08:00:00Z",
    ]
    with_offset = await made(client, start="2031-03-25T10:00+00:00", end="2031-03-25T11:00Z", weekly_until=None)
    assert (with_offset["local_start"], with_offset["when"]) == (
        "2031-03-25T11:00",
        "2031-03-25 11:00 to 12:00 (Europe/Berlin)",
    )


async def test_students_see_when_and_names_only_of_their_own(
    client: httpx.AsyncClient, lab: Seeds, ada: SeededUser, ben: SeededUser
) -> None:
    of_section = await made(client)
    of_ben = await made(client, name="Office hour of Ben", section=None, user_ids=[str(ben.id)])
    for_staff = (await client.get(PATH)).json()["items"]
    assert {(one["name"], one["section"], *one["users"].values()) for one in for_staff} == {
        ("Lab of A", "A"),
        ("Office hour of Ben", None, "ben"),
    }
    seen = (await client.get(PATH, headers=ada.headers)).json()["items"]
    assert {one["id"]: (one["yours"], one["name"], one["section"], one["users"]) for one in seen} == {
        of_section["id"]: (True, "Lab of A", "A", None),
        of_ben["id"]: (False, None, None, None),
    }
    assert all(len(one["next"]) == 5 for one in seen)
    alone = (await client.get(f"{PATH}/{of_section['id']}", headers=ben.headers)).json()
    assert (alone["yours"], alone["name"], alone["gpus"]) == (False, None, 1)


async def test_students_set_change_and_cancel_none(client: httpx.AsyncClient, lab: Seeds, ada: SeededUser) -> None:
    found = await made(client)
    path = f"{PATH}/{found['id']}"
    for answer in (
        await client.post(PATH, json=WEEKLY, headers=ada.headers),
        await client.patch(path, json={"gpus": 2}, headers=ada.headers),
        await client.delete(path, headers=ada.headers),
    ):
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"end": "2031-01-06T10:00"}, "end", "later than the start"),
        ({"end": "2031-01-14T10:00"}, "end", "at most 7 days"),
        ({"start": "2020-01-06T10:00", "end": "2020-01-06T12:00"}, "end", "is in the past"),
        ({"start": "2031-01-06"}, "start", "needs a time of day"),
        ({"start": "2031-03-30T02:30", "end": "2031-03-30T06:00"}, "start", "is skipped"),
        ({"weekly_until": "2031-01-05"}, "weekly_until", "a year after it"),
        ({"weekly_until": "2032-02-05"}, "weekly_until", "a year after it"),
        ({"weekly_until": "31 January"}, "weekly_until", "pattern"),
        ({"gpus": 3}, "gpus", "the lab has 2 GPUs"),
        ({"gpus": 0}, "gpus", "greater than or equal to 1"),
        ({"gpus": None}, "gpus", "name a node"),
        ({"node": "nowhere"}, "node", "no node with this name has GPUs"),
        ({"section": "Z"}, "section", "no student is in this section"),
        ({"section": None}, "section", "that may use the GPUs"),
        ({"assignment_id": str(uuid4())}, "assignment_id", "no assignment"),
        ({"user_ids": [str(uuid4())]}, "user_ids.0", "no member"),
        ({"give_back_minutes": -1}, "give_back_minutes", "greater than or equal to 0"),
        ({"color": "red"}, "color", "unknown field"),
    ],
)
async def test_refusal_names_the_field(
    client: httpx.AsyncClient, lab: Seeds, ada: SeededUser, changes: dict[str, Any], path: str, words: str
) -> None:
    answer = await client.post(PATH, json={**ORDER, **changes})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["path"] == path
    assert words in error["message"] or words in str(error["limit"])
    assert (await client.get(PATH)).json()["items"] == []


async def test_more_than_the_lab_has_is_refused_with_the_one_in_the_way(
    client: httpx.AsyncClient, lab: Seeds, ada: SeededUser
) -> None:
    first = await made(client)
    refused = await client.post(PATH, json={**ORDER, "gpus": 2, "start": "2031-01-13T11:00", "end": "2031-01-13T13:00"})
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["path"], error["limit"], error["value"]) == (422, "gpus", {"le": 1}, 2)
    assert error["message"] == "1 GPU free on 2031-01-13 11:00 CET (Europe/Berlin), in addition to “Lab of A”"
    whole = await client.post(PATH, json={**ORDER, "gpus": None, "node": NODE})
    assert whole.json()["errors"][0]["path"] == "node"
    # A change is held against the others alone.
    assert (await client.patch(f"{PATH}/{first['id']}", json={"gpus": 2})).status_code == 200


async def test_change_skip_and_cancel_are_audited(client: httpx.AsyncClient, lab: Seeds, ada: SeededUser) -> None:
    found = await made(client)
    path = f"{PATH}/{found['id']}"
    later = {"start": "2031-01-07T14:00", "end": "2031-01-07T15:00", "skipped_days": ["2031-01-14"]}
    changed = (await client.patch(path, json=later)).json()
    assert changed["when"] == "Tuesdays 14:00 to 15:00 until 2031-04-07 (Europe/Berlin)"
    assert [one["start"][:10] for one in changed["next"]][:2] == ["2031-01-07", "2031-01-21"]
    once = (await client.patch(path, json={"weekly_until": None})).json()
    assert len(once["next"]) == 1
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).json()["type"] == "/problems/lab-hours-not-found"
    events = (await client.get("/v1/audit")).json()["items"]
    ours = [(one["action"], one["target"]) for one in events if one["action"].startswith("lab_hours.")]
    target = f"lab_hours:{found['id']}"
    assert ours == [
        ("lab_hours.cancelled", target),
        ("lab_hours.changed", target),
        ("lab_hours.changed", target),
        ("lab_hours.created", target),
    ]


async def test_section_that_is_empty_by_now_is_in_the_way_of_no_other_change(
    client: httpx.AsyncClient, lab: Seeds, ada: SeededUser
) -> None:
    path = f"{PATH}/{(await made(client))['id']}"
    await client.patch(f"/v1/users/{ada.id}", json={"section": "B"})
    assert (await client.patch(path, json={"name": "Lab", "gpus": 2})).status_code == 200
    refused = await client.patch(path, json={"section": "A"})
    assert refused.json()["errors"][0]["path"] == "section"
    nobody = await client.patch(path, json={"section": None})
    assert "that may use the GPUs" in nobody.json()["errors"][0]["message"]


async def test_those_that_are_over_are_not_listed(client: httpx.AsyncClient, lab: Seeds, ada: SeededUser) -> None:
    found = await made(client)
    with lab.engine.begin() as connection:
        past = {
            "local_start": datetime.fromisoformat("2020-01-06T10:00"),
            "local_end": datetime.fromisoformat("2020-01-06T12:00"),
            "weekly_until": None,
        }
        connection.execute(update(LabHours).values(**past))
    assert (await client.get(PATH)).json()["items"] == []
    # It can be moved on, and then comes again.
    moved = {name: WEEKLY[name] for name in ("start", "end")}
    assert (await client.patch(f"{PATH}/{found['id']}", json=moved)).status_code == 200
    assert len((await client.get(PATH)).json()["items"]) == 1


async def test_timeline_shows_them_without_names_of_others(
    client: httpx.AsyncClient, lab: Seeds, ada: SeededUser, ben: SeededUser
) -> None:
    soon = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=3)
    when = {"start": soon.isoformat(), "end": (soon + timedelta(hours=1)).isoformat()}
    found = await made(client, **when, weekly_until=(soon.date() + timedelta(days=30)).isoformat())
    with lab.engine.begin() as connection:
        connection.execute(update(LabHours).values(kept={f"{soon.timestamp():.0f}": ["GPU-1"]}))
    (first,) = (await client.get("/v1/timeline", headers=ada.headers)).json()["lab_hours"]
    assert (first["id"], first["name"], first["yours"], first["gpu_uuids"]) == (
        found["id"],
        "Lab of A",
        True,
        ["GPU-1"],
    )
    (others,) = (await client.get("/v1/timeline", headers=ben.headers)).json()["lab_hours"]
    assert (others["name"], others["yours"], others["gpus"]) == (None, False, 1)
    assert datetime.fromisoformat(others["start"]) == soon


async def test_last_gpu_goes_to_one_of_two_simultaneous_requests(client: httpx.AsyncClient, ada: SeededUser) -> None:
    orders = [{**WEEKLY, "name": f"Lab {number}"} for number in range(8)]
    answers = await asyncio.gather(*(client.post(PATH, json=order) for order in orders))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [422] * 6
    made_now = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    moved = {"start": "2031-02-03T08:00", "end": "2031-02-03T09:00", "weekly_until": None}
    free = await made(client, name="elsewhere", gpus=2, **moved)
    changes = [client.patch(f"{PATH}/{one}", json={**moved, "gpus": 1}) for one in made_now]
    assert [answer.status_code for answer in await asyncio.gather(*changes)] == [422, 422]
    assert (await client.delete(f"{PATH}/{free['id']}")).status_code == 204
    both = [client.patch(f"{PATH}/{one}", json={**moved, "gpus": 2}) for one in made_now]
    assert sorted(answer.status_code for answer in await asyncio.gather(*both)) == [200, 422]
