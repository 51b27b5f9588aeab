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
from sqlalchemy import select, update
from structlog.testing import capture_logs

from api.app import create_app
from api.http.base_path import Cookies
from api.sessions.openid_routes import cookie_of
from models import User
from models.settings import ApiSettings
from server.child_process import spawn, stop_process
from tests.integration.api.seeds import SeededUser, Seeds
from tests.lab import free_port, wait_until

NAMES = Cookies("gpulab_session", "gpulab_csrf", "gpulab_openid", "/", secure=False)
ANN = {"sub": "u1", "email": "Ann@Uni.example", "email_verified": True, "name": "Ann"}
INA = {"sub": "u2", "email": "ina@uni.example", "email_verified": True, "name": "Ina", "groups": ["teachers"]}
EVE = {"sub": "u3", "email": "ann@elsewhere.example", "email_verified": True}
LIAR = {"sub": "u4", "email": "admin@uni.example", "email_verified": False}
NAMELESS = {"sub": "u5", "name": "No Mail"}
SILENT = {"sub": "silent", "email": "silent@uni.example", "name": "Silent"}
UNPROVEN = [
    {"sub": f"unproven-{number}", "email": "boss@uni.example", "email_verified": said}
    for number, said in enumerate(("true", "false", 1, None, [True], {"value": True}))
]
HIDDEN = {
    "sub": "hidden",
    "email": "hidden@uni.example",
    "email_verified": True,
    "name": "山田\N{IDEOGRAPHIC SPACE}太郎\N{RIGHT-TO-LEFT OVERRIDE}",
    "groups": "students teachers",
    "realm_access": {"roles": ["teachers"]},
    "only_in_userinfo": ["email", "email_verified", "name", "groups", "realm_access"],
}
LOOKALIKE = {"sub": "lookalike", "email": "\N{KELVIN SIGN}im@uni.example", "email_verified": True}
USERS = [ANN, INA, EVE, LIAR, NAMELESS, SILENT, *UNPROVEN, HIDDEN, LOOKALIKE]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    users = [part for user in USERS for part in ("--user-claims", json.dumps(user))]
    path: Path = tmp_path_factory.mktemp("provider") / "log"
    with path.open("ab") as log:
        command = [
            sys.executable,
            "-m",
            "tests.fakes.openid_provider",
            "--port",
            str(port),
            "--require-nonce",
            "true",
            *users,
        ]
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
    assert not [name for name in browser.cookies if name.startswith("gpulab_openid")]
    again = await signed_in(browser, "u1")
    assert again.status_code == 303
    assert (await browser.get("/v1/me")).json()["id"] == me["id"]
    admin = seeds.user("admin")
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


async def test_user_of_the_roster_is_found_by_the_address(browser: httpx.AsyncClient, seeds: Seeds) -> None:
    admin = seeds.user("admin")
    made = await browser.post(
        "/v1/users", json={"name": "Ann of the roster", "email": "ann@uni.example"}, headers=admin.headers
    )
    await signed_in(browser, "u1")
    assert (await browser.get("/v1/me")).json()["id"] == made.json()["id"]


@pytest.mark.parametrize("sub", ["u3", "u4", "u5"])
async def test_strangers_and_unverified_addresses_are_refused(
    browser: httpx.AsyncClient, seeds: Seeds, sub: str
) -> None:
    seeds.user("admin")
    answer = await signed_in(browser, sub)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/openid-refused")
    assert (await browser.get("/v1/me")).status_code == 401


async def added(browser: httpx.AsyncClient, admin: SeededUser, email: str, role: str = "student") -> str:
    body = {"name": f"{role} of {email}", "email": email, "role": role}
    found: str = (await browser.post("/v1/users", json=body, headers=admin.headers)).json()["id"]
    return found


@pytest.mark.parametrize("sub", ["silent", *(user["sub"] for user in UNPROVEN)])
@pytest.mark.parametrize("role", ["student", "instructor", "admin"])
async def test_address_that_is_not_verified_finds_nobody(
    browser: httpx.AsyncClient, seeds: Seeds, sub: str, role: str
) -> None:
    email = "silent@uni.example" if sub == "silent" else "boss@uni.example"
    await added(browser, seeds.user("admin"), email, role)
    answer = await signed_in(browser, sub)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/openid-refused")
    assert "email_verified" in answer.json()["detail"]
    assert (await browser.get("/v1/me")).status_code == 401


async def test_operator_may_do_without_the_claim_for_students_alone(with_openid: ApiSettings, seeds: Seeds) -> None:
    admin = seeds.user("admin")
    async with lab(with_openid.model_copy(update={"openid_email_verified_optional": True})) as browser:
        boss = await added(browser, admin, "silent@uni.example", "instructor")
        staff = await signed_in(browser, "silent")
        await browser.patch(f"/v1/users/{boss}", json={"role": "student"}, headers=admin.headers)
        refused = [(await signed_in(browser, user["sub"])).status_code for user in UNPROVEN]
        student = await signed_in(browser, "silent")
        me = (await browser.get("/v1/me")).json()
    assert staff.status_code == 403
    assert "instructor" not in staff.text
    assert set(refused) == {403}
    assert (student.status_code, me["id"]) == (303, boss)


async def test_user_with_another_subject_keeps_the_address(
    with_openid: ApiSettings, browser: httpx.AsyncClient, seeds: Seeds
) -> None:
    admin = seeds.user("admin")
    me = await added(browser, admin, "ann@uni.example")
    await signed_in(browser, "u1")
    with seeds.engine.begin() as connection:
        before = connection.execute(select(User.openid_subject).where(User.id == me)).scalar_one()
        # As another issuer, or another account of this one, would have left it.
        connection.execute(update(User).where(User.id == me).values(openid_subject="https://other.example u1"))
    assert before == f"{with_openid.openid_issuer} u1"
    answer = await signed_in(browser, "u1")
    assert (answer.status_code, "another account" in answer.text) == (403, True)
    await browser.patch(f"/v1/users/{me}", json={"forget_sign_in": True}, headers=admin.headers)
    assert (await signed_in(browser, "u1")).status_code == 303
    assert (await browser.get("/v1/me")).json()["id"] == me


async def test_claims_that_only_userinfo_has_count(with_openid: ApiSettings) -> None:
    for claim in ("groups", "realm_access.roles"):
        async with lab(with_openid.model_copy(update={"openid_role_claim": claim})) as browser:
            answer = await signed_in(browser, "hidden")
            me = (await browser.get("/v1/me")).json()
        assert answer.status_code == 303, answer.text
        assert (me["name"], me["email"], me["role"]) == ("山田 太郎", "hidden@uni.example", "instructor")


async def test_role_that_did_not_come_is_logged_with_its_reason(with_openid: ApiSettings) -> None:
    async with lab(with_openid.model_copy(update={"openid_role_claim": "resource_access.gpulab.roles"})) as browser:
        with capture_logs() as logged:
            await signed_in(browser, "hidden")
            role = (await browser.get("/v1/me")).json()["role"]
    assert role == "student"
    told = [line for line in logged if line["event"] == "openid.no_instructor_role"]
    assert [line["log_level"] for line in told] == ["warning"]
    assert "resource_access.gpulab.roles" in told[0]["reason"]


async def test_scopes_are_the_operators_and_always_ask_for_an_id_token(with_openid: ApiSettings) -> None:
    async with lab(with_openid.model_copy(update={"openid_scopes": "email groups,profile"})) as browser:
        begun = await browser.get("/v1/openid/start")
    assert parse_qs(urlsplit(begun.headers["location"]).query)["scope"] == ["openid email groups profile"]


async def test_address_that_looks_like_another_is_nobodys(browser: httpx.AsyncClient, seeds: Seeds) -> None:
    await added(browser, seeds.user("admin"), "kim@uni.example")
    answer = await signed_in(browser, "lookalike")
    assert (answer.status_code, "KELVIN SIGN" in answer.text) == (403, True)


async def test_user_who_is_shut_out_stays_out(browser: httpx.AsyncClient, seeds: Seeds) -> None:
    admin: SeededUser = seeds.user("admin")
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
        name = cookie_of(NAMES, parse_qs(urlsplit(back).query)["state"][0])
        answer = await browser.get(back, headers={"Cookie": f"{name}={cookie}"})
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


async def test_browser_reads_a_page_where_a_program_gets_a_problem(
    browser: httpx.AsyncClient, with_openid: ApiSettings
) -> None:
    page = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    used = await approved(browser, "u1")
    assert (await browser.get(used)).status_code == 303
    for path in (used, "/v1/openid/callback?error=access_denied<script>", "/v1/openid/callback"):
        answer = await browser.get(path, headers=page)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert '<a href="/">Go to the lab</a>' in answer.text
        assert "<script" not in answer.text
    away = with_openid.model_copy(update={"openid_issuer": f"http://127.0.0.1:{free_port()}"})
    async with lab(away) as client:
        answer = await client.get("/v1/openid/start", headers=page)
    assert (answer.status_code, "The provider does not answer" in answer.text) == (503, True)


async def test_issuer_that_differs_by_a_slash_is_named_as_it_should_be_set(
    with_openid: ApiSettings, issuer: str
) -> None:
    async with lab(with_openid.model_copy(update={"openid_issuer": f"{issuer}/"})) as client:
        detail = (await client.get("/v1/openid/start")).json()["detail"]
    assert f"the provider's issuer is {issuer}, not {issuer}/" in detail
    assert "GPULAB_OPENID_ISSUER" in detail


async def test_two_tabs_can_sign_in_at_the_same_time(browser: httpx.AsyncClient) -> None:
    first = await approved(browser, "u1", then="/jobs")
    second = await approved(browser, "u1", then="/studies")
    for back, then in ((first, "/jobs"), (second, "/studies")):
        answer = await browser.get(back)
        assert (answer.status_code, answer.headers.get("location")) == (303, then), answer.text
