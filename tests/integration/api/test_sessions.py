"""A browser's session: what its cookie opens, what it must prove, when it ends; and failed sign-ins."""

from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from api.limits.buckets import Buckets
from api.limits.sign_ins import SignIns
from gpulab.states import Role
from tests.integration.api.seeds import ORDER, SeededUser, Seeds, comes_to
from tests.integration.api.test_streams import Reader


@pytest.fixture
def sam(seeds: Seeds) -> SeededUser:
    return seeds.user("sam", Role.STUDENT)


@pytest.fixture
async def browser(anonymous: httpx.AsyncClient, sam: SeededUser) -> httpx.AsyncClient:
    """Signed in as Sam, by cookie alone."""
    answer = await anonymous.post("/v1/session", json={"token": sam.token})
    assert answer.status_code == 200, answer.text
    return anonymous


def csrf(browser: httpx.AsyncClient) -> dict[str, str]:
    return {"X-CSRF-Token": browser.cookies["gpulab_csrf"]}


async def test_signing_in_says_who_it_is_and_sets_careful_cookies(
    anonymous: httpx.AsyncClient, sam: SeededUser
) -> None:
    answer = await anonymous.post("/v1/session", json={"token": sam.token})

    assert (answer.json()["name"], answer.json()["role"]) == ("sam", "student")
    assert answer.json()["csrf"] == anonymous.cookies["gpulab_csrf"]
    session, other = sorted(answer.headers.get_list("set-cookie"), key=lambda line: "csrf" in line)
    assert "HttpOnly" in session
    assert "HttpOnly" not in other
    assert all("samesite=lax" in line.lower() and "path=/" in line.lower() for line in (session, other))
    assert sam.token not in session + other
    assert answer.headers["cache-control"] == "no-store"


async def test_cookies_are_secure_behind_tls(app: FastAPI, sam: SeededUser) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://lab") as client:
        answer = await client.post("/v1/session", json={"token": sam.token})
    assert all("; secure" in line.lower() for line in answer.headers.get_list("set-cookie"))


async def test_cookie_reads_and_with_its_proof_writes(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/v1/me")).json()["name"] == "sam"
    bare = await browser.post("/v1/jobs", json=ORDER)
    assert (bare.status_code, bare.json()["type"]) == (403, "/problems/csrf-failed")
    wrong = await browser.post("/v1/jobs", json=ORDER, headers={"X-CSRF-Token": "x" + csrf(browser)["X-CSRF-Token"]})
    assert wrong.status_code == 403
    assert (await browser.get("/v1/jobs")).json()["items"] == []
    job = await browser.post("/v1/jobs", json=ORDER, headers=csrf(browser))
    assert (job.status_code, job.json()["owner"]) == (201, "sam")


async def test_cookie_of_another_session_proves_nothing(browser: httpx.AsyncClient, app: FastAPI, seeds: Seeds) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as other:
        theirs = await other.post("/v1/session", json={"token": seeds.user("eve", Role.STUDENT).token})
    refused = await browser.post("/v1/jobs", json=ORDER, headers={"X-CSRF-Token": theirs.json()["csrf"]})
    assert refused.status_code == 403


async def test_cookie_opens_streams_and_files(browser: httpx.AsyncClient, sam: SeededUser, seeds: Seeds) -> None:
    seeds.node()
    job_id = seeds.job(sam)
    seeds.run(job_id)
    seeds.finish(job_id)
    seeds.artifact(job_id, "a.txt", "nowhere", b"", "0" * 64)
    async with browser.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
        assert (await Reader(response).next()).data["state"] == "succeeded"
    answer = await browser.get(f"/v1/jobs/{job_id}/artifacts/a.txt")
    assert (answer.status_code, answer.headers["vary"]) == (200, "Authorization, Cookie")


async def test_signing_out_ends_the_session(browser: httpx.AsyncClient) -> None:
    kept = dict(browser.cookies)
    assert (await browser.delete("/v1/session")).status_code == 403
    answer = await browser.delete("/v1/session", headers=csrf(browser))

    assert answer.status_code == 204
    assert dict(browser.cookies) == {}
    browser.cookies.update(kept)
    assert (await browser.get("/v1/me")).status_code == 401


async def test_session_ends_with_the_token_that_opened_it(
    browser: httpx.AsyncClient, client: httpx.AsyncClient, admin: SeededUser, sam: SeededUser
) -> None:
    (token,) = (await client.get("/v1/tokens", params={"user_id": str(sam.id)})).json()["items"]
    assert (await client.delete(f"/v1/tokens/{token['id']}", headers=admin.headers)).status_code == 204
    del browser.headers["Authorization"]
    assert (await browser.get("/v1/me")).status_code == 401


async def test_session_ends_in_time_and_with_its_owner(
    browser: httpx.AsyncClient, admin: SeededUser, sam: SeededUser, seeds: Seeds
) -> None:
    await browser.post(f"/v1/users/{sam.id}/disable", headers=admin.headers)
    assert (await browser.get("/v1/me")).status_code == 401
    await browser.post(f"/v1/users/{sam.id}/enable", headers=admin.headers)
    assert (await browser.get("/v1/me")).status_code == 200
    seeds.expire_sessions()
    await comes_to(lambda: browser.get("/v1/me"), 401)


async def test_session_never_outlives_its_token(anonymous: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/tokens", json={"name": "short", "expires_at": "2999-01-01T00:00:00Z"})
    long = await anonymous.post("/v1/session", json={"token": made.json()["token"]})
    assert long.json()["token_expires_at"] < "2998"


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": 5}, {"token": "x" * 300}, {"token": "x", "as": "root"}])
async def test_bad_sign_in_is_refused(anonymous: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await anonymous.post("/v1/session", json=body)
    assert (answer.status_code, "set-cookie" in answer.headers) == (422, False)


@pytest.mark.parametrize("cookie", ["x", "glab_x", "ü", ""])
async def test_cookie_from_elsewhere_is_no_sign_in(anonymous: httpx.AsyncClient, cookie: str) -> None:
    answer = await anonymous.get("/v1/me", headers={"Cookie": f"gpulab_session={cookie}".encode()})  # type: ignore[dict-item]
    assert answer.status_code == 401


async def test_a_token_in_the_header_goes_before_the_cookie(browser: httpx.AsyncClient, admin: SeededUser) -> None:
    assert (await browser.get("/v1/me", headers=admin.headers)).json()["name"] == "admin"
    assert (await browser.get("/v1/me", headers={"Authorization": "Bearer glab_wrong"})).status_code == 401


async def test_who_keeps_failing_has_to_wait(
    anonymous: httpx.AsyncClient, app: FastAPI, admin: SeededUser, sam: SeededUser
) -> None:
    now = 1000.0
    by_token, by_address = (Buckets(uuid4().hex, burst / 60, burst, clock=lambda: now) for burst in (3, 30))
    app.state.app.sign_ins.__init__(by_token, by_address)
    assert (await anonymous.get("/v1/me", headers=sam.headers)).status_code == 200
    wrong = {"Authorization": f"Bearer {sam.token[:12]}wrong"}
    statuses = [(await anonymous.get("/v1/me", headers=wrong)).status_code for _ in range(4)]
    refused = await anonymous.post("/v1/session", json={"token": f"{sam.token[:12]}other"})

    assert statuses == [401, 401, 401, 429]
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-sign-ins")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    # Those who are known here, and other tokens, are not held up by it.
    assert (await anonymous.get("/v1/me", headers=sam.headers)).status_code == 200
    assert (await anonymous.get("/v1/me", headers=admin.headers)).status_code == 200
    now += 61
    assert (await anonymous.get("/v1/me", headers=wrong)).status_code == 401


async def test_wrong_tokens_from_an_address_shut_out_nobody_there(
    anonymous: httpx.AsyncClient, app: FastAPI, seeds: Seeds, sam: SeededUser
) -> None:
    by_token, by_address = (Buckets(uuid4().hex, 1e-6, burst) for burst in (50, 5))
    app.state.app.sign_ins.__init__(by_token, by_address)
    ada = seeds.user("ada", Role.STUDENT)
    gone = seeds.user("gone", Role.STUDENT)
    seeds.revoke(gone)
    for number in range(20):
        answer = await anonymous.get("/v1/me", headers={"Authorization": f"Bearer glab_{number}"})
        assert answer.status_code == (401 if number < 5 else 429)
    # Neither was here before.
    for user in (sam, ada):
        assert (await anonymous.get("/v1/me", headers=user.headers)).json()["name"] == user.name
    assert (await anonymous.get("/v1/me", headers=gone.headers)).status_code == 429


async def test_requests_of_strangers_shut_out_no_session_at_their_address(
    browser: httpx.AsyncClient, app: FastAPI
) -> None:
    strangers = Buckets(uuid4().hex, 1e-6, 1)
    app.state.app.stranger_rate.__init__(strangers)
    # As after any change of users: nobody is remembered.
    app.state.app.hub.users_changed()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as stranger:
        assert [(await stranger.get("/healthz")).status_code for _ in range(3)] == [200, 429, 429]
        cookies = dict(browser.cookies)
        assert (await browser.get("/v1/me")).json()["name"] == "sam"
        app.state.app.hub.users_changed()
        stranger.cookies.update({name: f"{value}x" for name, value in cookies.items()})
        assert (await stranger.get("/v1/me")).status_code == 429


async def test_newest_sessions_of_a_user_are_kept(
    app: FastAPI, sam: SeededUser, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.sessions.service.MAX_SESSIONS", 3)
    other = seeds.user("other", Role.STUDENT)
    browsers = [httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") for _ in range(6)]
    for browser, user in zip(browsers, [other, *[sam] * 5], strict=True):
        assert (await browser.post("/v1/session", json={"token": user.token})).status_code == 200
    assert [(await browser.get("/v1/me")).status_code for browser in browsers] == [200, 401, 401, 200, 200, 200]


def test_memory_of_failures_is_bounded_and_addresses_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.limits.buckets.KEYS", 50)
    guard = SignIns(Buckets("t", 1, 2), Buckets("a", 1, 20))
    for number in range(1000):
        guard.failed(f"2001:db8::{number:x}", f"{number:09d}", known=False)
    assert len(guard) <= 100
    # All of one IPv6 network is one caller, whatever token it brings.
    with pytest.raises(Exception, match="too many"):
        guard.check("2001:db8::ffff", "glab_never_seen")
    guard.check("2001:db9::1", "glab_never_seen")


@pytest.mark.parametrize(
    "body",
    [
        b'{"tokn":"glab_secret"}',
        b'{"token":["glab_secret"]}',
        b'{"glab_secret":1}',
        b'{"glab_secret":1,"glab_secret":2}',
        b'{"token":"glab_secret\\u0000"}',
        b'{"token":"' + b"glab_secret" * 30 + b'"}',
        b'"glab_secret"',
        b"glab_secret",
        b'{"token":glab_secret}',
    ],
)
async def test_refused_sign_in_repeats_nothing_of_what_was_sent(anonymous: httpx.AsyncClient, body: bytes) -> None:
    with capture_logs() as lines:
        answer = await anonymous.post("/v1/session", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert "secret" not in answer.text
    assert "secret" not in str(lines)


async def test_sign_in_takes_a_short_body_only(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.post("/v1/session", json={"token": "x" * 5000})
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
