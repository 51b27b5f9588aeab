"""Users and their tokens: who may add users, what is shown once, and who can never be locked out."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from api.admin import ensure_token
from api.auth.token_secrets import digest_of
from gpulab.schemas import TokenCreated, UserCreated, UserPage, UserRead
from gpulab.states import Role
from models import Token, User
from tests.integration.api.seeds import SeededUser, Seeds, comes_to


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def let_in(client: httpx.AsyncClient, **order: Any) -> UserCreated:
    answer = await client.post("/v1/users", json=order)
    assert answer.status_code == 201, answer.text
    return UserCreated.model_validate_json(answer.content)


async def status_of(client: httpx.AsyncClient, token: str) -> int:
    return (await client.get("/v1/me", headers=bearer(token))).status_code


def stored(seeds: Seeds) -> str:
    """Everything that the tables of users hold, as text."""
    with seeds.engine.begin() as connection:
        users, tokens = (connection.execute(select(*table.__table__.columns)).all() for table in (User, Token))
    return repr((sorted(users, key=str), sorted(tokens, key=str)))


async def test_new_user_gets_a_token_that_works_and_is_stored_hashed(client: httpx.AsyncClient, seeds: Seeds) -> None:
    answer = await client.post("/v1/users", json={"name": "sam", "role": "student", "email": "Sam@Example.ORG"})

    made = UserCreated.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/v1/users/{made.id}"
    assert answer.headers["cache-control"] == "no-store"
    assert (made.name, made.role, made.email, made.weight, made.max_running) == (
        *("sam", Role.STUDENT, "sam@example.org", 1.0),
        None,
    )
    assert made.token.startswith("glab_")
    assert (await client.get("/v1/me", headers=bearer(made.token))).json()["name"] == "sam"
    assert made.token not in stored(seeds)
    assert repr(digest_of(made.token)) in stored(seeds)
    again = await client.get(f"/v1/users/{made.id}")
    assert UserRead.model_validate_json(again.content) == UserRead(**made.model_dump(exclude={"token"}))
    assert made.token not in again.text


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 5}, "name"),
        ({}, "name"),
        ({"name": "x", "role": "root"}, "role"),
        ({"name": "x", "email": "no address"}, "email"),
        ({"name": "x", "email": "a@b@c"}, "email"),
        ({"name": "x", "weight": 0}, "weight"),
        ({"name": "x", "weight": "2"}, "weight"),
        ({"name": "x", "max_running": -1}, "max_running"),
        ({"name": "x", "max_gpu_hours": 1e300}, "max_gpu_hours"),
        ({"name": "x", "password": "secret"}, "password"),
        ({"name": "x", "token_expires_at": 5}, "token_expires_at"),
        ({"name": "x", "token_expires_at": "4102444800"}, "token_expires_at"),
        ({"name": "x", "token_expires_at": "2030-01-01T00:00:00"}, "token_expires_at"),
        ({"name": "x", "token_expires_at": "2001-01-01T00:00:00Z"}, "token_expires_at"),
    ],
)
async def test_bad_user_is_refused_and_nothing_changes(
    client: httpx.AsyncClient, seeds: Seeds, order: dict[str, Any], path: str
) -> None:
    before = stored(seeds)
    answer = await client.post("/v1/users", json=order)

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path), answer.text
    assert stored(seeds) == before


async def test_address_and_name_without_one_belong_to_one_user(client: httpx.AsyncClient, seeds: Seeds) -> None:
    sam = await let_in(client, name="sam", email="sam@example.org")
    other = await let_in(client, name="other")
    before = stored(seeds)
    for order, path in [({"name": "sam"}, "name"), ({"name": "x", "email": "SAM@example.org"}, "email")]:
        answer = await client.post("/v1/users", json=order)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/already-taken")
        assert answer.json()["errors"][0]["path"] == path
    answer = await client.patch(f"/v1/users/{other.id}", json={"email": "sam@example.org"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (409, "email")
    assert stored(seeds) == before
    assert (await client.patch(f"/v1/users/{sam.id}", json={"email": "sam@example.org"})).status_code == 200
    namesake = await let_in(client, name="sam", email="sam2@example.org")
    assert namesake.id != sam.id


async def test_change_sets_what_is_given_and_null_takes_away(client: httpx.AsyncClient) -> None:
    sam = await let_in(client, name="sam", section="A", max_running=3)
    given = {"weight": 2.5, "team": "red", "max_running": None, "max_gib_hours": 7.5}
    changed = UserRead.model_validate_json((await client.patch(f"/v1/users/{sam.id}", json=given)).content)

    assert (changed.weight, changed.team, changed.section, changed.max_running, changed.max_gib_hours) == (
        *(2.5, "red", "A"),
        *(None, 7.5),
    )
    me = (await client.get("/v1/me", headers=bearer(sam.token))).json()
    assert (me["weight"], me["team"], me["max_gib_hours"]) == (2.5, "red", 7.5)


async def test_users_are_listed_newest_first_and_filtered(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await let_in(client, name=f"s{number}", section="AB"[number % 2])
    first = UserPage.model_validate_json((await client.get("/v1/users?limit=3&role=student")).content)
    rest = await client.get(f"/v1/users?limit=3&role=student&cursor={first.next_cursor}")
    found = [*first.items, *UserPage.model_validate_json(rest.content).items]

    assert [user.name for user in found] == ["s4", "s3", "s2", "s1", "s0"]
    in_b = (await client.get("/v1/users?section=B")).json()["items"]
    assert [user["name"] for user in in_b] == ["s3", "s1"]
    assert [user["name"] for user in (await client.get("/v1/users?text=S4")).json()["items"]] == ["s4"]


async def test_disabled_user_is_shut_out_until_enabled(client: httpx.AsyncClient) -> None:
    sam = await let_in(client, name="sam")
    shut = await client.post(f"/v1/users/{sam.id}/disable")
    assert shut.json()["disabled_at"] is not None
    assert await status_of(client, sam.token) == 401
    assert (await client.post(f"/v1/users/{sam.id}/disable")).json() == shut.json()
    await client.post(f"/v1/users/{sam.id}/enable")
    assert await status_of(client, sam.token) == 200


async def test_instructors_manage_students_alone(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    ina, other = seeds.user("ina", Role.INSTRUCTOR), seeds.user("otto", Role.INSTRUCTOR)
    sam = seeds.user("sam", Role.STUDENT)
    before = stored(seeds)
    for method, path, order in [
        ("POST", "/v1/users", {"name": "x", "role": "admin"}),
        ("POST", "/v1/users", {"name": "x", "role": "instructor"}),
        ("PATCH", f"/v1/users/{sam.id}", {"role": "instructor"}),
        ("PATCH", f"/v1/users/{ina.id}", {"role": "admin"}),
        ("PATCH", f"/v1/users/{ina.id}", {"weight": 100.0}),
        ("POST", f"/v1/users/{admin.id}/disable", None),
        ("POST", f"/v1/users/{other.id}/disable", None),
        ("POST", "/v1/tokens", {"name": "theirs", "user_id": str(admin.id)}),
        ("POST", "/v1/tokens", {"name": "theirs", "user_id": str(other.id)}),
    ]:
        answer = await client.request(method, path, json=order, headers=ina.headers)
        assert answer.status_code == 403, (path, answer.text)
    assert stored(seeds) == before
    assert (await client.patch(f"/v1/users/{sam.id}", json={"team": "red"}, headers=ina.headers)).status_code == 200
    made = await client.post("/v1/tokens", json={"name": "new", "user_id": str(sam.id)}, headers=ina.headers)
    assert await status_of(client, made.json()["token"]) == 200


async def test_last_admin_stays(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    (token,) = (await client.get("/v1/tokens")).json()["items"]
    before = stored(seeds)
    for method, path, order in [
        ("POST", f"/v1/users/{admin.id}/disable", None),
        ("PATCH", f"/v1/users/{admin.id}", {"role": "student"}),
        ("DELETE", f"/v1/tokens/{token['id']}", None),
    ]:
        answer = await client.request(method, path, json=order)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/last-admin"), path
    assert stored(seeds) == before
    seeds.user("second")
    assert (await client.delete(f"/v1/tokens/{token['id']}")).status_code == 204


async def test_two_admins_cannot_take_each_others_place_at_once(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    second = seeds.user("second")
    for _ in range(5):
        answers = await asyncio.gather(
            client.patch(f"/v1/users/{second.id}", json={"role": "student"}),
            client.patch(f"/v1/users/{admin.id}", json={"role": "student"}, headers=second.headers),
        )
        assert 200 in {answer.status_code for answer in answers}
        with seeds.engine.begin() as connection:
            admins = connection.execute(select(User.name).where(User.role == "admin")).scalars().all()
        assert len(admins) == 1
        seeds.promote(admin, second)


async def test_tokens_are_named_shown_once_and_revoked_at_once(client: httpx.AsyncClient) -> None:
    sam = await let_in(client, name="sam")
    client.headers.update(bearer(sam.token))
    answer = await client.post("/v1/tokens", json={"name": "laptop"})
    made = TokenCreated.model_validate_json(answer.content)
    listed = await client.get("/v1/tokens")

    assert (answer.status_code, made.name, answer.headers["cache-control"]) == (201, "laptop", "no-store")
    assert [token["name"] for token in listed.json()["items"]] == ["laptop", "first"]
    assert listed.json()["items"][0]["prefix"] == made.token[:9]
    assert made.token not in listed.text
    assert sam.token not in listed.text
    assert (await client.delete(f"/v1/tokens/{made.id}")).status_code == 204
    assert await status_of(client, made.token) == 401
    assert (await client.delete(f"/v1/tokens/{made.id}")).status_code == 204
    assert (await client.get("/v1/tokens")).json()["items"][0]["revoked_at"] is not None


async def test_token_ends_when_it_says(client: httpx.AsyncClient, seeds: Seeds) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = (await client.post("/v1/tokens", json={"name": "short", "expires_at": soon.isoformat()})).json()
    assert await status_of(client, made["token"]) == 200
    seeds.expire(UUID(made["id"]))
    await comes_to(lambda: client.get("/v1/me", headers=bearer(made["token"])), 401)
    before = stored(seeds)
    past = await client.post("/v1/tokens", json={"name": "past", "expires_at": "2001-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["errors"][0]["path"]) == (422, "expires_at")
    assert stored(seeds) == before


async def test_tokens_of_others_are_not_found(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    sam, olga = (seeds.user(name, Role.STUDENT) for name in ("sam", "olga"))
    (theirs,) = (await client.get("/v1/tokens", params={"user_id": str(olga.id)})).json()["items"]
    for method, path in [("GET", f"/v1/tokens?user_id={olga.id}"), ("DELETE", f"/v1/tokens/{theirs['id']}")]:
        assert (await client.request(method, path, headers=sam.headers)).status_code == 404
    refused = await client.post("/v1/tokens", json={"name": "x", "user_id": str(olga.id)}, headers=sam.headers)
    assert refused.status_code == 404
    assert (await client.delete(f"/v1/tokens/{uuid4()}")).status_code == 404
    assert (await client.delete(f"/v1/tokens/{theirs['id']}")).status_code == 204
    assert await status_of(client, olga.token) == 401


async def test_tokens_of_one_user_are_limited(client: httpx.AsyncClient, seeds: Seeds, app: Any) -> None:
    sam = await let_in(client, name="sam")
    most = app.state.app.settings.max_tokens
    for number in range(most - 1):
        answer = await client.post("/v1/tokens", json={"name": f"t{number}"}, headers=bearer(sam.token))
        assert answer.status_code == 201
    refused = await client.post("/v1/tokens", json={"name": "one more"}, headers=bearer(sam.token))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-many-tokens")


def test_student_who_is_called_admin_stays_a_student(seeds: Seeds, tmp_path: Path) -> None:
    student = seeds.user("admin", Role.STUDENT)
    with seeds.engine.begin() as connection:
        ensure_token(connection, tmp_path / "token")
        found = connection.execute(select(User.id, User.role).where(User.name == "admin")).all()
    assert {row.role: row.id == student.id for row in found} == {"student": True, "admin": False}
