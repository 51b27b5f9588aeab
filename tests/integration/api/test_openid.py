"""Signing in through a real OpenID Connect provider, a process of its own on loopback."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from gpulab.child_process import spawn, stop_process
from models.settings import ApiSettings
from tests.integration.api.seeds import Person, Seeds
from tests.lab import free_port, wait_until

ANN = {"sub": "u1", "email": "Ann@Uni.example", "email_verified": True, "name": "Ann"}
INA = {"sub": "u2", "email": "ina@uni.example", "email_verified": True, "name": "Ina", "groups": ["teachers"]}
EVE = {"sub": "u3", "email": "ann@elsewhere.example", "email_verified": True}
LIAR = {"sub": "u4", "email": "admin@uni.example", "email_verified": False}
NAMELESS = {"sub": "u5", "name": "No Mail"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    users = [part for user in (ANN, INA, EVE, LIAR, NAMELESS) for part in ("--user-claims", json.dumps(user))]
    path: Path = tmp_path_factory.mktemp("provider") / "log"
    with path.open("ab") as log:
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *users]
        process: subprocess.Popen[bytes] = spawn(command, log=log, death_signal=signal.SIGKILL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, path.read_text()
        try:
            return httpx.get(f"{url}/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, what="the provider")
    yield url
    stop_process(process, (signal.SIGTERM, 10.0))


@pytest.fixture
def with_openid(settings: ApiSettings, issuer: str) -> ApiSettings:
    changes = {
        "openid_issuer": issuer,
        "openid_client_id": "gpulab",
        "openid_client_secret": SecretStr("a secret of the lab, long enough"),
        "openid_domains": "uni.example, other.example",
        "openid_role_claim": "groups",
        "openid_instructors": "teachers",
    }
    return settings.model_copy(update=changes)


@asynccontextmanager
async def lab(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as client,
    ):
        yield client


@pytest.fixture
async def browser(with_openid: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with lab(with_openid) as client:
        yield client


async def approved(browser: httpx.AsyncClient, sub: str, *, then: str = "/jobs") -> str:
    """Go to the provider and say yes there; returns the address that it sends the browser back to."""
    begun = await browser.get("/v1/openid/start", params={"then": then})
    assert begun.status_code == 303, begun.text
    async with httpx.AsyncClient() as outside:
        answer = await outside.post(begun.headers["location"], data={"sub": sub})
    assert answer.status_code == 302, answer.text
    found: str = answer.headers["location"]
    return found


async def signed_in(browser: httpx.AsyncClient, sub: str) -> httpx.Response:
    return await browser.get(await approved(browser, sub))


async def test_first_visit_lets_a_student_of_the_university_in(browser: httpx.AsyncClient, seeds: Seeds) -> None:
    answer = await signed_in(browser, "u1")

    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs")
    me = (await browser.get("/v1/me")).json()
    assert (me["name"], me["email"], me["role"], me["token_name"]) == ("Ann", "ann@uni.example", "student", None)
    assert "gpulab_openid" not in browser.cookies
    again = await signed_in(browser, "u1")
    assert again.status_code == 303
    assert (await browser.get("/v1/me")).json()["id"] == me["id"]
    admin = seeds.person("admin")
    events = (await browser.get("/v1/audit", headers=admin.headers)).json()["items"]
    assert [event["action"] for event in events] == ["session.opened", "session.opened", "user.created"]
    assert events[0]["details"] == {"how": "openid"}


async def test_request_carries_state_nonce_and_a_challenge(browser: httpx.AsyncClient) -> None:
    begun = await browser.get("/v1/openid/start")
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= query.keys()
    assert query["redirect_uri"] == ["http://lab/v1/openid/callback"]
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "Path=/v1/openid" in cookie


async def test_claim_makes_an_instructor_and_never_an_admin(browser: httpx.AsyncClient) -> None:
    await signed_in(browser, "u2")
    assert (await browser.get("/v1/me")).json()["role"] == "instructor"


async def test_person_of_the_roster_is_found_by_the_address(browser: httpx.AsyncClient, seeds: Seeds) -> None:
    admin = seeds.person("admin")
    made = await browser.post(
        "/v1/users", json={"name": "Ann of the roster", "email": "ann@uni.example"}, headers=admin.headers
    )
    await signed_in(browser, "u1")
    assert (await browser.get("/v1/me")).json()["id"] == made.json()["id"]


@pytest.mark.parametrize("sub", ["u3", "u4", "u5"])
async def test_strangers_and_unverified_addresses_are_refused(
    browser: httpx.AsyncClient, seeds: Seeds, sub: str
) -> None:
    seeds.person("admin")
    answer = await signed_in(browser, sub)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/openid-refused")
    assert (await browser.get("/v1/me")).status_code == 401


async def test_person_who_is_shut_out_stays_out(browser: httpx.AsyncClient, seeds: Seeds) -> None:
    admin: Person = seeds.person("admin")
    await signed_in(browser, "u1")
    me = (await browser.get("/v1/me")).json()["id"]
    await browser.post(f"/v1/users/{me}/disable", headers=admin.headers)
    assert (await browser.get("/v1/me")).status_code == 401
    assert (await signed_in(browser, "u1")).status_code == 403


async def test_answer_of_another_sign_in_is_refused(browser: httpx.AsyncClient, with_openid: ApiSettings) -> None:
    back = await approved(browser, "u1")
    async with lab(with_openid) as other:
        nothing = await other.get(back)
        await approved(other, "u2")
        theirs = await other.get(back)
    assert (nothing.status_code, theirs.status_code) == (403, 403)
    assert (await browser.get(back + "&session_state=x")).status_code == 303
    # A code is good once.
    assert (await browser.get(back)).status_code == 403


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?error=access_denied", "?code=x&state=y"])
async def test_made_up_answers_are_refused(browser: httpx.AsyncClient, query: str) -> None:
    await browser.get("/v1/openid/start")
    answer = await browser.get(f"/v1/openid/callback{query}")
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/openid-refused")


async def test_made_up_visits_are_refused(browser: httpx.AsyncClient) -> None:
    back = await approved(browser, "u1")
    for cookie in ("x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."):
        browser.cookies.clear()
        answer = await browser.get(back, headers={"Cookie": f"gpulab_openid={cookie}"})
        assert answer.status_code == 403


@pytest.mark.parametrize("then", ["//evil.example", "https://evil.example", "/\\evil.example", "jobs", "/a b"])
async def test_browser_comes_back_to_the_lab_alone(browser: httpx.AsyncClient, then: str) -> None:
    answer = await browser.get("/v1/openid/start", params={"then": then})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "query.then")


async def test_lab_without_a_provider_says_so(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/openid")).json() == {"configured": False, "start": None}
    for path in ("start", "callback?code=x&state=y"):
        answer = await client.get(f"/v1/openid/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/openid-not-configured")


async def test_provider_that_is_away_or_somebody_else_is_named(with_openid: ApiSettings, issuer: str) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    for wrong in (away, f"{issuer}/"):
        async with lab(with_openid.model_copy(update={"openid_issuer": wrong})) as client:
            answer = await client.get("/v1/openid/start")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/openid-unavailable"), answer.text


def test_secret_is_not_in_the_settings_text(with_openid: ApiSettings) -> None:
    assert "a secret of the lab" not in repr(with_openid)
