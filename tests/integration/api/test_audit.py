"""The audit: who did what, on what, when and from where; nothing secret, nothing taken back."""

from typing import Any

import httpx
import psycopg
import pytest

from gpulab.states import Role
from tests.integration.api.seeds import SeededUser, Seeds


async def events(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    answer = await client.get("/v1/audit", params={"limit": 200, **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found[::-1]


async def test_every_change_of_users_leaves_an_event_without_secrets(
    client: httpx.AsyncClient, admin: SeededUser
) -> None:
    made = (await client.post("/v1/users", json={"name": "sam", "section": "A"})).json()
    user = f"/v1/users/{made['id']}"
    await client.patch(user, json={"weight": 2.0, "role": "instructor"})
    await client.post(f"{user}/disable")
    await client.post(f"{user}/enable")
    token = (await client.post("/v1/tokens", json={"name": "laptop", "user_id": made["id"]})).json()
    await client.delete(f"/v1/tokens/{token['id']}")
    session = await client.post("/v1/session", json={"token": made["token"]})
    await client.post("/v1/session", json={"token": "glab_wrong"})
    found = await events(client)

    target = f"user:{made['id']}"
    assert [(event["action"], event["actor"], event["target"]) for event in found] == [
        ("user.created", "user:admin", target),
        ("user.changed", "user:admin", target),
        ("user.disabled", "user:admin", target),
        ("user.enabled", "user:admin", target),
        ("token.created", "user:admin", f"token:{token['id']}"),
        ("token.revoked", "user:admin", f"token:{token['id']}"),
        ("session.opened", "user:sam", target),
        ("session.refused", "anonymous", None),
    ]
    assert found[0]["details"]["section"] == "A"
    assert found[1]["details"] == {"weight": 2.0, "role": "instructor"}
    assert {event["address"] for event in found} == {"127.0.0.1"}
    assert found[0]["actor_id"] == str(admin.id)
    told = str(found)
    secrets = [made["token"], token["token"], session.json()["csrf"], session.cookies["gpulab_session"], "glab_wrong"]
    assert [secret for secret in secrets if secret in told] == []


async def test_what_staff_does_to_jobs_and_nodes_leaves_an_event(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    seeds.node()
    sam = seeds.user("sam", Role.STUDENT)
    job_id = seeds.job(sam)
    request_id = (await client.post(f"/v1/jobs/{job_id}/cancel")).headers["x-request-id"]
    await client.post("/v1/nodes/node-1/drain")
    await client.post("/v1/nodes/nowhere/drain")
    await client.post(f"/v1/jobs/{job_id}/share", json={"audience": "class"}, headers=sam.headers)
    order = {"name": "Homework", "deadline": "2999-01-01T00:00:00Z", "experiments": ["dropout-linear"]}
    homework = (await client.post("/v1/assignments", json=order)).json()["id"]
    found = await events(client)

    assert [(event["action"], event["actor"], event["target"]) for event in found] == [
        ("job.cancel_requested", "user:admin", f"job:{job_id}"),
        ("node.drained", "user:admin", "node:node-1"),
        ("job.shared", "user:sam", f"job:{job_id}"),
        ("assignment.created", "user:admin", f"assignment:{homework}"),
    ]
    assert found[0]["request_id"] == request_id


async def test_refused_changes_leave_no_event(client: httpx.AsyncClient, admin: SeededUser) -> None:
    await client.post("/v1/users", json={"name": "admin"})
    await client.post(f"/v1/users/{admin.id}/disable")
    await client.post("/v1/users", json={"name": ""})
    assert await events(client) == []


async def test_audit_is_filtered_and_paged(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.post("/v1/users", json={"name": f"s{number}"})
    first = (await client.get("/v1/audit?limit=2&action=user.created")).json()
    second = (await client.get(f"/v1/audit?limit=2&action=user.created&cursor={first['next_cursor']}")).json()

    names = [event["details"]["name"] for event in (*first["items"], *second["items"])]
    assert names == ["s4", "s3", "s2", "s1"]
    assert len(await events(client, target=first["items"][0]["target"])) == 1
    assert await events(client, actor="user:nobody") == []
    middle = second["items"][0]["at"]
    assert len(await events(client, since=middle)) == 3
    assert len(await events(client, until=middle)) == 2
    page = (await client.get("/v1/audit", params={"since": middle, "limit": 2})).json()
    rest = (await client.get("/v1/audit", params={"since": middle, "cursor": page["next_cursor"]})).json()
    assert [event["details"]["name"] for event in (*page["items"], *rest["items"])] == ["s4", "s3", "s2"]
    assert (await client.get("/v1/audit?since=yesterday")).json()["errors"][0]["path"] == "query.since"


async def test_events_name_what_they_are_about_as_it_is_called_today(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    seeds.node()
    job_id = seeds.job(admin)
    made = (await client.post("/v1/users", json={"name": "sam"})).json()
    await client.post(f"/v1/jobs/{job_id}/cancel")
    await client.patch(f"/v1/jobs/{job_id}", json={"name": "called anew"})
    await client.post("/v1/nodes/node-1/drain")
    token = (await client.post("/v1/tokens", json={"name": "laptop"})).json()
    await client.post("/v1/session", json={"token": "glab_wrong"})

    assert [(event["target"], event["target_name"]) for event in await events(client)] == [
        (f"user:{made['id']}", "sam"),
        (f"job:{job_id}", "called anew"),
        (f"job:{job_id}", "called anew"),
        ("node:node-1", "node-1"),
        (f"token:{token['id']}", "laptop"),
        (None, None),
    ]


async def test_sign_ins_are_read_apart(client: httpx.AsyncClient, admin: SeededUser) -> None:
    made = (await client.post("/v1/users", json={"name": "sam"})).json()
    await client.post("/v1/session", json={"token": made["token"]})
    await client.post("/v1/session", json={"token": "glab_wrong"})
    await client.post(f"/v1/users/{made['id']}/disable")
    changes, sign_ins = [await events(client, sign_ins=chosen) for chosen in (False, True)]
    assert [event["action"] for event in changes] == ["user.created", "user.disabled"]
    assert [event["action"] for event in sign_ins] == ["session.opened", "session.refused"]
    assert len(await events(client)) == 4
    page = (await client.get("/v1/audit?sign_ins=true&limit=1")).json()
    rest = (await client.get(f"/v1/audit?sign_ins=true&cursor={page['next_cursor']}")).json()
    assert [event["action"] for event in (*page["items"], *rest["items"])] == ["session.refused", "session.opened"]
    assert (await client.get("/v1/audit?sign_ins=perhaps")).json()["errors"][0]["path"] == "query.sign_ins"


@pytest.mark.parametrize("change", ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"])
async def test_audit_cannot_be_changed(client: httpx.AsyncClient, database_url: str, change: str) -> None:
    await client.post("/v1/users", json={"name": "sam"})
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        connection.execute(change)  # type: ignore[call-overload]
    assert len(await events(client)) == 1
