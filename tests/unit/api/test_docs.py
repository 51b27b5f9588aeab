"""The documentation at `/docs`: which files, with which headers, and what is said where it is not built."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.http.base_path import BelowPath
from api.web import dashboard, docs
from docs_site.scripts import move_inline_scripts, pack


@pytest.fixture
def built(tmp_path: Path) -> Path:
    site = tmp_path / "docs" / "site"
    (site / "reference").mkdir(parents=True)
    (site / "index.html").write_text("<!doctype html><title>start</title>" + "words " * 400)
    (site / "reference" / "jobs.html").write_text("<title>calls</title>")
    (site / "search.json").write_text("{}")
    (tmp_path / "secret.html").write_text("not yours")
    pack(site)
    return site


def asking(built: Path, prefix: str = "") -> httpx.AsyncClient:
    app = FastAPI(docs_url=None, redirect_slashes=False)
    docs.install(app, built)
    dashboard.install(app, built.parent)
    app.add_middleware(BelowPath, root_path=prefix)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab")


@pytest.fixture
async def client(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(built) as made:
        yield made


def test_the_documentation_is_served_from_where_it_is_built() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    assert f"SITE := {'/'.join(docs.BUILT.parts[-3:])}/index.html" in makefile


async def test_pages_have_the_headers_of_the_dashboard_and_are_asked_for_again(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/")
    assert "<title>start</title>" in answer.text
    assert answer.headers["content-security-policy"] == dashboard.SAFE["Content-Security-Policy"]
    assert answer.headers["cache-control"] == "no-cache"
    again = await client.get("/docs/", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/docs/index.html")).text == answer.text
    assert (await client.get("/docs/reference/jobs.html")).text == "<title>calls</title>"


async def test_long_pages_are_sent_compressed_to_who_reads_that(client: httpx.AsyncClient) -> None:
    packed = await client.get("/docs/", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/docs/", headers={"Accept-Encoding": "identity"})
    assert (packed.headers["content-encoding"], packed.text) == ("gzip", plain.text)
    assert packed.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize("prefix", ["", "/gpulab"])
async def test_the_start_has_a_slash_since_its_links_are_relative(built: Path, prefix: str) -> None:
    async with asking(built, prefix) as client:
        answer = await client.get(f"{prefix}/docs")
        assert (answer.status_code, answer.headers["location"]) == (308, f"{prefix}/docs/")
        assert "start" in (await client.get(f"{prefix}/docs/")).text


@pytest.mark.parametrize(
    "path",
    [
        "no-such.html",
        "%2e%2e/secret.html",
        "..%2f..%2fsecret.html",
        "index.html.gz",
        "reference/",
        f"{'a' * 300}",
        "a%00b",
    ],
)
async def test_what_is_not_there_is_a_page_with_a_way_back(built: Path, path: str) -> None:
    async with asking(built, "/gpulab") as client:
        answer = await client.get(f"/gpulab/docs/{path}", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "not yours" not in answer.text
    assert 'href="/gpulab/docs/"' in answer.text
    assert 'href="/gpulab/"' in answer.text


async def test_a_lab_without_the_built_site_says_how_to_build_it(tmp_path: Path) -> None:
    async with asking(tmp_path / "none") as client:
        answer = await client.get("/docs/start-student.html")
    assert answer.status_code == 503
    assert "make docs" in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_inline_scripts_become_files_that_pages_share(tmp_path: Path) -> None:
    (tmp_path / "assets" / "javascripts").mkdir(parents=True)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    data = '<script id="__config" type="application/json">{"base":"."}</script>'
    for name in ("index.html", "deep/er/page.html"):
        (tmp_path / name).write_text(f'<head><script>let a = "<b>";</script></head>{data}<script src="x.js"></script>')
    move_inline_scripts(tmp_path)
    (made,) = (tmp_path / "assets" / "javascripts").iterdir()
    assert made.read_text() == 'let a = "<b>";'
    for name, up in (("index.html", "./"), ("deep/er/page.html", "../../")):
        moved = (
            f'<head><script src="{up}assets/javascripts/{made.name}"></script></head>{data}<script src="x.js"></script>'
        )
        assert (tmp_path / name).read_text() == moved


def test_compressed_copies_are_the_same_bytes_each_time(built: Path) -> None:
    packed = (built / "index.html.gz").read_bytes()
    assert gzip.decompress(packed) == (built / "index.html").read_bytes()
    assert not (built / "search.json.gz").exists(), "too small to gain by it"
    pack(built)
    assert (built / "index.html.gz").read_bytes() == packed
