"""What is served as the dashboard, with which headers, and what is not."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.web import dashboard

PAGE = {"Accept": "text/html,*/*"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>the dashboard</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-1a2b.js").write_text("let x = 1;")
    (folder / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(b"let x = 1;"))
    (tmp_path / "secret").write_text("not yours")
    return folder


def asking(built: Path) -> httpx.AsyncClient:
    app = FastAPI()
    app.add_api_route("/v1/me", lambda: {"name": "sam"})
    dashboard.install(app, built)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab")


@pytest.fixture
async def client(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(built) as made:
        yield made


def test_pages_are_served_from_where_they_are_built() -> None:
    assert (dashboard.BUILT.parents[1] / "Makefile").read_text().count("dashboard/dist/index.html")
    assert dashboard.BUILT.parts[-2:] == ("dashboard", "dist")


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/0190a1b2?tab=memory", "/compare", f"/jobs/{'a' * 300}"])
async def test_every_page_is_the_one_document_and_is_asked_for_again(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=PAGE)
    assert answer.status_code == 200
    assert "the dashboard" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    again = await client.get(path, headers={**PAGE, "If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_no_page_may_run_inline_scripts_or_load_from_elsewhere(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/", headers=PAGE)).headers["content-security-policy"]
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["worker-src"] == "'self'", "the tabs of a browser share a worker"
    assert "http" not in policy
    assert rules["frame-ancestors"] == "'none'"


async def test_hashed_files_are_kept_for_good_and_sent_compressed(client: httpx.AsyncClient) -> None:
    packed = await client.get("/assets/index-1a2b.js", headers={"Accept-Encoding": "gzip"})
    assert packed.text == "let x = 1;"
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert "javascript" in packed.headers["content-type"]
    assert "immutable" in packed.headers["cache-control"]
    plain = await client.get("/assets/index-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == "let x = 1;"
    assert "content-encoding" not in plain.headers


async def test_other_files_are_not_kept(client: httpx.AsyncClient) -> None:
    assert (await client.get("/favicon.svg")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/..%2fsecret", "/assets/..%2f..%2fsecret", "/%2e%2e/secret", "/assets/%00"])
async def test_nothing_outside_the_build_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert "not yours" not in (await client.get(path, headers=PAGE)).text
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/nothing", "/assets/gone.js"])
async def test_a_program_that_mistypes_an_address_is_told_so(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_an_address_longer_than_names_of_files_is_an_address_like_any(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/{'a' * 300}")).status_code == 404


async def test_addresses_of_the_api_are_no_pages(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/nothing", headers=PAGE)).status_code == 404
    assert (await client.get("/v1/me", headers=PAGE)).json() == {"name": "sam"}
    assert (await client.post("/", headers=PAGE)).status_code == 404


async def test_lab_without_a_built_dashboard_says_how_to_build_it(tmp_path: Path) -> None:
    async with asking(tmp_path / "dist") as client:
        answer = await client.get("/", headers=PAGE)
    assert answer.status_code == 503
    assert "make dashboard" in answer.text
    assert answer.headers["cache-control"] == "no-store"
