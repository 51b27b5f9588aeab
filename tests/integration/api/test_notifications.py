"""Choosing notifications, and the banners of the lab."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text, update

from gpulab.states import Role
from models import AuditEvent, Notification, NotificationChannel, User
from tests.integration.api.seeds import SeededUser, Seeds

HERE = "/v1/me/notifications"
URL = "https://hooks.slack.com/services/T0/B0/very-secret"


@pytest.fixture
def student(seeds: Seeds) -> SeededUser:
    made = seeds.user("ada", Role.STUDENT)
    with seeds.engine.begin() as connection:
        connection.execute(update(User).where(User.id == made.id).values(email="ada@example.edu"))
    return made


@pytest.fixture
def ask(anonymous: httpx.AsyncClient, student: SeededUser) -> Any:
    async def change(**body: Any) -> httpx.Response:
        return await anonymous.patch(HERE, json=body, headers=student.headers)

    return change


def with_mail(app: FastAPI) -> None:
    given = app.state.app.settings.model_copy(update={"mail_host": "mail.example.edu"})
    object.__setattr__(app.state.app, "settings", given)


async def test_everything_is_off_at_first(anonymous: httpx.AsyncClient, student: SeededUser) -> None:
    found = (await anonymous.get(HERE, headers=student.headers)).json()
    assert found["mail"]["kinds"] == found["webhook"]["kinds"] == []
    assert found["mail"]["unavailable"] == "This lab sends no mail."
    assert found["time_zone"] == "UTC"


async def test_a_webhook_is_masked_wherever_it_is_shown(ask: Any, seeds: Seeds) -> None:
    answer = await ask(webhook={"kinds": ["failed", "ended"], "webhook_url": URL})
    assert answer.status_code == 200
    assert answer.json()["webhook"]["address"] == "https://hooks.slack.com/…"
    assert answer.json()["webhook"]["kinds"] == ["ended", "failed"]
    assert "very-secret" not in answer.text
    with seeds.engine.begin() as connection:
        kept = connection.execute(select(AuditEvent.action, text("audit_events::text"))).all()
    assert [action for action, _ in kept] == ["notifications.changed"]
    assert "very-secret" not in str(kept)


async def test_the_address_stays_until_the_channel_is_turned_off(ask: Any, seeds: Seeds) -> None:
    await ask(webhook={"kinds": ["failed"], "webhook_url": URL})
    assert (await ask(webhook={"kinds": ["ended"]})).json()["webhook"]["kinds"] == ["ended"]
    with seeds.engine.begin() as connection:
        assert connection.execute(select(NotificationChannel.webhook_url)).scalar_one() == URL
    assert (await ask(webhook={"kinds": []})).json()["webhook"]["address"] is None
    refused = await ask(webhook={"kinds": ["ended"]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == "webhook.webhook_url"


async def test_another_address_begins_without_the_failures_of_the_one_before(ask: Any, seeds: Seeds) -> None:
    await ask(webhook={"kinds": ["failed"], "webhook_url": URL})
    with seeds.engine.begin() as connection:
        failed = {"failures": 5, "last_error": "away", "given_up": 3, "last_error_at": datetime.now(UTC)}
        connection.execute(update(NotificationChannel).values(**failed))
    same = (await ask(webhook={"kinds": ["ended"]})).json()["webhook"]
    assert (same["last_error"], same["given_up"]) == ("away", 3)
    other = (await ask(webhook={"kinds": ["ended"], "webhook_url": URL + "2"})).json()["webhook"]
    assert (other["last_error"], other["given_up"]) == (None, 0)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/x",
        "file:///etc/passwd",
        "gopher://example.org",
        "javascript:alert(1)",
        "//example.org/x",
        "http://",
        "https://user:pass@example.org/x",
        "https://example.org:0x/",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\r\nX-Injected: 1",
        "https://exämple.org/",
        "",
        "https://example.org/" + "x" * 1000,
    ],
)
async def test_addresses_that_are_none_are_refused(ask: Any, url: str) -> None:
    answer = await ask(webhook={"kinds": ["failed"], "webhook_url": url})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "webhook.webhook_url"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"webhook": {"kinds": ["test"], "webhook_url": URL}}, "webhook.kinds.0"),
        ({"webhook": {"kinds": ["everything"], "webhook_url": URL}}, "webhook.kinds.0"),
        ({"mail": {"kinds": ["failed"]}}, "mail.kinds"),
        ({"mail": {"kinds": [], "webhook_url": URL}}, "mail.webhook_url"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"pager": {"kinds": []}}, "pager"),
    ],
)
async def test_wrong_choices_name_their_field(ask: Any, body: dict[str, Any], path: str) -> None:
    answer = await ask(**body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


async def test_mail_needs_an_address(app: FastAPI, ask: Any, seeds: Seeds, student: SeededUser) -> None:
    with_mail(app)
    assert (await ask(mail={"kinds": ["deadline"]})).json()["mail"]["address"] == "ada@example.edu"
    with seeds.engine.begin() as connection:
        connection.execute(update(User).where(User.id == student.id).values(email=None))
    refused = await ask(mail={"kinds": ["deadline"]})
    assert "no email address" in refused.json()["detail"]


async def test_a_time_zone_is_kept(ask: Any) -> None:
    assert (await ask(time_zone="Europe/Berlin")).json()["time_zone"] == "Europe/Berlin"


async def test_a_test_message_is_asked_for_once_a_minute_and_only_where_it_can_go(
    anonymous: httpx.AsyncClient, student: SeededUser, ask: Any, seeds: Seeds
) -> None:
    there = f"{HERE}/webhook/test"
    assert (await anonymous.post(there, headers=student.headers)).status_code == 404
    await ask(webhook={"kinds": ["failed"], "webhook_url": URL})
    for _ in range(3):
        answer = await anonymous.post(there, headers=student.headers)
    assert answer.json()["webhook"]["waiting"] in (1, 2)
    with seeds.engine.begin() as connection:
        assert set(connection.execute(select(Notification.kind)).scalars()) == {"test"}


async def test_nobody_sees_the_choices_of_another(
    client: httpx.AsyncClient, ask: Any, anonymous: httpx.AsyncClient
) -> None:
    await ask(webhook={"kinds": ["failed"], "webhook_url": URL})
    assert (await client.get(HERE)).json()["webhook"]["kinds"] == []


def hours(count: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=count)).isoformat()


async def test_a_banner_is_shown_to_all_until_it_is_ended(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, student: SeededUser
) -> None:
    order = {"text": "Lab moved to room 7,\nsee https://example.edu/rooms", "ends_at": hours(2)}
    made = await client.post("/v1/banners", json=order)
    assert made.status_code == 201
    [seen] = (await anonymous.get("/v1/banners", headers=student.headers)).json()["items"]
    assert (seen["kind"], seen["text"]) == ("text", order["text"])
    assert (await client.delete(made.headers["location"])).status_code == 204
    assert (await client.get("/v1/banners")).json()["items"] == []
    assert (await client.delete(made.headers["location"])).status_code == 404


async def test_a_banner_disappears_at_its_end(client: httpx.AsyncClient, seeds: Seeds) -> None:
    await client.post("/v1/banners", json={"text": "Soon over", "ends_at": hours(1)})
    with seeds.engine.begin() as connection:
        connection.execute(text("UPDATE banners SET ends_at = now() - interval '1 second'"))
    assert (await client.get("/v1/banners")).json()["items"] == []


async def test_a_maintenance_names_both_times(client: httpx.AsyncClient) -> None:
    order = {"text": "New driver", "starts_at": hours(24), "ends_at": hours(26)}
    assert (await client.post("/v1/banners", json=order)).json()["kind"] == "maintenance"
    wrong = await client.post("/v1/banners", json=order | {"ends_at": hours(23)})
    assert wrong.json()["errors"][0]["path"] == "ends_at"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"text": "x" * 501}, "text"),
        ({"text": "  "}, "text"),
        ({"text": "turn\u202eed"}, "text"),
        ({"ends_at": "2001-01-01"}, "ends_at"),
        ({"ends_at": "tomorrow"}, "ends_at"),
        ({"ends_at": None}, "ends_at"),
    ],
)
async def test_bad_banners_are_refused(client: httpx.AsyncClient, change: dict[str, Any], path: str) -> None:
    order = {"text": "Hello", "ends_at": hours(2), **change}
    answer = await client.post("/v1/banners", json=order)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


async def test_a_drain_announces_itself_until_it_ends(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node("gpu-1")
    await client.post("/v1/nodes/gpu-1/drain", json={"reason": "a new driver"})
    [found] = (await client.get("/v1/banners")).json()["items"]
    assert found["kind"] == "drain"
    assert found["text"] == "gpu-1 takes no new jobs; running jobs continue. Reason: a new driver."
    await client.post("/v1/nodes/gpu-1/drain", json={"reason": "a new card"})
    [other] = (await client.get("/v1/banners")).json()["items"]
    assert other["id"] != found["id"]
    await client.post("/v1/nodes/gpu-1/undrain")
    assert (await client.get("/v1/banners")).json()["items"] == []
