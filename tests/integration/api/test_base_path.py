"""A lab below a path, and two labs on one host."""

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from api.app import create_app
from api.http.base_path import ForwardedPrefix
from models.settings import ApiSettings
from tests.integration.api.seeds import SeededUser


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"root_path": "/gpulab"})


def browser_of(
    app: object, base_url: str = "http://host", client: tuple[str, int] = ("10.0.0.9", 1)
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=client)  # type: ignore[arg-type] # any ASGI
    return httpx.AsyncClient(transport=transport, base_url=base_url)


@pytest.mark.parametrize("taken_off", [False, True])
async def test_a_proxy_may_take_the_path_off_or_leave_it(app: FastAPI, admin: SeededUser, taken_off: bool) -> None:
    prefix = "" if taken_off else "/gpulab"
    async with browser_of(app) as browser:
        answer = await browser.get(f"{prefix}/v1/me", headers=admin.headers)
        assert (answer.status_code, answer.json()["name"]) == (200, "admin")
        made = await browser.post(f"{prefix}/v1/jobs", json={"experiment": "dropout-linear"}, headers=admin.headers)
        assert made.headers["location"] == f"/gpulab/v1/jobs/{made.json()['id']}"
        contract = await browser.get(f"{prefix}/openapi.json")
        assert [server["url"] for server in contract.json()["servers"]] == ["/gpulab"]


async def test_a_session_lives_below_the_path_alone(app: FastAPI, admin: SeededUser) -> None:
    async with browser_of(app) as browser:
        answer = await browser.post("/gpulab/v1/session", json={"token": admin.token})
        assert {cookie.name: cookie.path for cookie in browser.cookies.jar} == {
            "gpulab_session_gpulab": "/gpulab",
            "gpulab_csrf_gpulab": "/gpulab",
        }
        assert (await browser.get("/gpulab/v1/me")).status_code == 200
        assert (await browser.get("/v1/me")).status_code == 401
        csrf = {"X-CSRF-Token": answer.json()["csrf"]}
        assert (await browser.delete("/gpulab/v1/session", headers=csrf)).status_code == 204
        assert list(browser.cookies.jar) == []


async def test_only_a_trusted_proxy_names_the_path(settings: ApiSettings) -> None:
    app = create_app(settings.model_copy(update={"root_path": ""}))
    said = {"X-Forwarded-Prefix": "/shared/gpulab/"}
    async with app.router.lifespan_context(app):
        for trusted, caller, expected in (
            ("10.0.0.9", "10.0.0.9", "/shared/gpulab/client/"),
            ("10.0.0.9", "10.0.0.8", "http://host/client/"),
            ("*", "10.0.0.8", "/shared/gpulab/client/"),
        ):
            async with browser_of(ForwardedPrefix(app, trusted), client=(caller, 1)) as browser:  # type: ignore[arg-type] # one ASGI in two spellings
                assert expected in (await browser.get("/client", headers=said)).text
                hostile = {"X-Forwarded-Prefix": '//evil.example/"><script>'}
                assert "evil" not in (await browser.get("/client", headers=hostile)).text


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("http://host", {"gpulab_session", "gpulab_csrf"}),
        ("http://host:8001", {"gpulab_session_8001", "gpulab_csrf_8001"}),
        ("https://host", {"__Host-gpulab_session", "__Host-gpulab_csrf"}),
        ("https://host:8443", {"__Host-gpulab_session_8443", "__Host-gpulab_csrf_8443"}),
    ],
)
async def test_cookies_have_a_name_for_each_lab_of_a_host(
    settings: ApiSettings, admin: SeededUser, address: str, names: set[str]
) -> None:
    app = create_app(settings.model_copy(update={"root_path": ""}))
    async with app.router.lifespan_context(app), browser_of(app, address) as browser:
        await browser.post("/v1/session", json={"token": admin.token})
        assert {cookie.name for cookie in browser.cookies.jar} == names
        assert {cookie.path for cookie in browser.cookies.jar} == {"/"}
        other = {"Cookie": "gpulab_session_9999=of-another-lab"}
        assert (await browser.get("/v1/me", headers=other)).status_code == 401


async def test_two_labs_on_one_host_keep_their_sessions(settings: ApiSettings, admin: SeededUser) -> None:
    app = create_app(settings.model_copy(update={"root_path": ""}))
    async with app.router.lifespan_context(app), browser_of(app, "http://host:8001") as first:
        await first.post("/v1/session", json={"token": admin.token})
        held = dict(first.cookies)
        async with browser_of(app, "http://host:8002") as second:
            # A browser sends them to every port of the host.
            second.cookies.update(held)
            answer = await second.post("/v1/session", json={"token": admin.token})
            csrf = {"X-CSRF-Token": answer.json()["csrf"]}
            assert (await second.delete("/v1/session", headers=csrf)).status_code == 204
            assert held.items() <= dict(second.cookies).items()
        assert (await first.get("/v1/me")).status_code == 200


@pytest.mark.parametrize("path", ["gpulab", "/a b", "/jobs", "/lab/v1", "//evil", "/../x?", "/gpulab/\n"])
def test_a_path_that_cannot_be_served_is_refused_at_the_start(settings: ApiSettings, path: str) -> None:
    with pytest.raises(ValidationError, match="root_path"):
        ApiSettings(**{**settings.model_dump(), "root_path": path})
