"""The documentation as a site: whole, without a broken link, and quiet towards the world."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import sync_playwright

from api import print_openapi as contract
from api.web.built_folder import POLICY
from docs_site.__main__ import CONFIG
from docs_site.pages import BrokenLink, assemble, site_places
from docs_site.pictures import SMALL
from gpulab.version import VERSION
from tests.lab import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None)
LOADING = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files that the images are built from, which are fewer than a checkout has."""
    folder = tmp_path_factory.mktemp("context")
    spec = spec_from_file_location("release", ROOT / "ops" / "release.py")
    release = module_from_spec(spec)
    spec.loader.exec_module(release)
    for name in release.context_files(release._tracked(), (ROOT / ".dockerignore").read_text()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    command = [sys.executable, "-m", "docs_site", "--out", str(folder / "out")]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "out" / "site"


class Links(HTMLParser):
    """What a page loads, where it leads, and the places in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.places: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            # A canonical address or the next page is named, not loaded.
            elif (tag, name) in LOADING and value and dict(attrs).get("rel") not in {"canonical", "next", "prev"}:
                self.loads.append(value)
            elif tag == "a" and name == "href" and value:
                self.leads.append(value)


def test_no_page_loads_from_another_host(site: Path) -> None:
    outside = {
        (page.name, address)
        for page in site.rglob("*.html")
        for address in Links(page).loads
        if urlsplit(address).netloc or urlsplit(address).scheme not in {"", "data"}
    }
    assert outside == set()


def test_every_link_leads_to_a_page_and_a_place_in_it(site: Path) -> None:
    pages = {page: Links(page) for page in site.rglob("*.html") if page.name != "404.html"}
    assert len(pages) > 40
    broken = []
    for page, found in pages.items():
        for address in found.leads:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            places = pages[target].places if target in pages else None
            if not target.exists() or (parts.fragment and places is not None and unquote(parts.fragment) not in places):
                broken.append((page.relative_to(site).as_posix(), address))
    assert broken == []


def test_every_place_that_the_dashboard_links_to_is_there(site: Path) -> None:
    links = set(re.findall(r'"([a-z-]+\.html(?:#[\w-]+)?)"', (ROOT / "dashboard/src/shell/help.ts").read_text()))
    assert len(links) > 25
    for link in links | {"start-student.html"}:
        page, _, place = link.partition("#")
        assert not place or place in Links(site / page).places, link
        assert (site / page).exists(), link


def test_the_changes_are_there_for_the_dashboard(site: Path) -> None:
    assert json.loads((site / "changes.json").read_text())[0]["version"] == VERSION


def test_every_page_written_is_in_the_site_and_can_be_searched(site: Path) -> None:
    for place in site_places(ROOT).values():
        assert (site / place).with_suffix(".html").exists(), place
    found = json.dumps(json.loads((site / "search.json").read_text()))
    for words in ("gpulab top", "five minutes", "submit_job", "start-time fair queueing"):
        assert words in found


def test_reference_tells_every_call(site: Path) -> None:
    told = {place for page in (site / "reference").glob("*.html") for place in Links(page).places}
    document = json.loads(contract.document())
    calls = [
        call["operationId"] for path in document["paths"].values() for call in path.values() if "operationId" in call
    ]
    assert len(calls) > 30
    assert [call for call in calls if call not in told] == []
    assert [name for name in document["components"]["schemas"] if name not in told] == []


@pytest.mark.parametrize("slug", SMALL)
def test_experiment_has_its_pictures(site: Path, slug: str) -> None:
    assert [one for one in Links(site / "experiments" / f"{slug}.html").loads if "pictures/" in one]


def test_link_to_nowhere_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[away](gone.md)\n")
    with pytest.raises(BrokenLink, match=r"docs/index\.md links to gone\.md"):
        assemble(tmp_path, tmp_path / "out")


def test_anchor_to_nowhere_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.md").write_text("# A\n\n[away](#nowhere)\n")
    (tmp_path / "zensical.toml").write_text(CONFIG.read_text().partition("nav = [")[0])
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert built.returncode != 0


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", POLICY)
            super().end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium-headless-shell, or chromium")
def test_browser_asks_no_other_host_and_obeys_the_policy_of_the_lab_also_while_searching(address: str) -> None:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        asked: list[str] = []
        complaints: list[str] = []
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "start-student", "reference/jobs", "experiments/dropout-linear"):
            page.goto(f"{address}/{name}.html", wait_until="networkidle")
        page.keyboard.press("/")
        page.locator("input:focus").wait_for()
        page.keyboard.type("roster")
        page.get_by_text(re.compile(r"^\d+ results$")).wait_for()
        browser.close()
    assert complaints == []
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
