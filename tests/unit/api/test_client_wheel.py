"""The wheel that the lab hands out, its page and its index."""

import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from email.parser import Parser
from pathlib import Path

import httpx
import pytest

from api import client_wheel
from api.app import create_app
from gpulab.version import VERSION, WHEEL
from models.settings import ApiSettings

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a token; nothing behind the API is asked."""
    settings = ApiSettings(
        database_url="postgresql://127.0.0.1/none",
        redis_url="redis://127.0.0.1/0",
        artifacts_url="file:///dev/null",
        root_path="/gpulab",
    )
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://lab:8000") as made:
        yield made


def test_the_same_files_give_the_same_bytes() -> None:
    first = client_wheel.wheel()
    client_wheel.wheel.cache_clear()
    assert client_wheel.wheel() == first
    assert hashlib.sha256(first.content).hexdigest() == first.sha256


def test_it_holds_the_package_its_licence_and_a_true_record() -> None:
    archive = zipfile.ZipFile(io.BytesIO(client_wheel.wheel().content))
    info = f"gpulab-{VERSION}.dist-info"
    names = set(archive.namelist())
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gpulab").rglob("*.py")}
    assert names == sources | {
        "gpulab/py.typed",
        *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD", "licenses/LICENSE")),
    }
    rows = list(csv.reader(io.StringIO(archive.read(f"{info}/RECORD").decode())))
    assert {name for name, _, _ in rows} == names
    for name, digest, size in rows[:-1]:
        content = archive.read(name)
        encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={encoded}", str(len(content)))


def test_its_metadata_is_that_of_the_project() -> None:
    archive = zipfile.ZipFile(io.BytesIO(client_wheel.wheel().content))
    found = Parser().parsestr(archive.read(f"gpulab-{VERSION}.dist-info/METADATA").decode())
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("gpulab", VERSION, "MIT")
    needed = {re.match(r"[a-z]+", line)[0] for line in found.get_all("Requires-Dist")}  # type: ignore[index] # each begins with a name
    assert needed == {"httpx", "pydantic", "pyyaml", "rich", "typer"}


def test_what_was_installed_from_it_runs(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(client_wheel.wheel().content)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target]
    subprocess.run([*pip, tmp_path / WHEEL], check=True, timeout=100)
    code = "import gpulab, gpulab.cli; print(gpulab.__file__); gpulab.cli.main(['--version'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout.splitlines() == [str(target / "gpulab" / "__init__.py"), f"gpulab {VERSION}"]


async def test_the_page_names_the_line_to_paste_without_a_token(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/gpulab/client")
    assert page.status_code == 200
    assert f"<pre>pip install http://lab:8000/gpulab/client/{WHEEL}</pre>" in page.text
    assert "export GPULAB_URL=http://lab:8000/gpulab<" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_an_installer_follows_the_index_to_the_file(browser: httpx.AsyncClient) -> None:
    projects = await browser.get("/gpulab/client/simple/")
    files = await browser.get(re.findall(r'href="([^"]+)"', projects.text)[0])
    address, digest = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', files.text)[0]
    file = await browser.get(address)
    assert hashlib.sha256(file.content).hexdigest() == digest
    assert 'data-requires-python="&gt;=3.11"' in files.text
    again = await browser.get(address, headers={"If-None-Match": file.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await browser.head(address)).headers["content-length"] == str(len(file.content))


async def test_another_version_is_refused_by_name(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/gpulab/client/gpulab-9.9.9-py3-none-any.whl")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"the client of this lab is {WHEEL}; see /client")


async def test_a_lab_without_the_projects_files_says_so(
    browser: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_wheel.wheel.cache_clear()
    monkeypatch.setattr(client_wheel, "ROOT", tmp_path)
    answer = await browser.get("/gpulab/client/simple/gpulab/")
    client_wheel.wheel.cache_clear()
    assert answer.status_code == 404
    assert f"{tmp_path}/pyproject.toml is missing" in answer.json()["detail"]


async def test_a_client_of_another_version_gets_the_line_to_paste(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/gpulab/v1/me", headers={"X-Gpulab-Client": "9.0.0"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/client-version")
    assert f"pip install http://lab:8000/gpulab/client/{WHEEL}" in answer.json()["detail"]
    assert answer.headers["x-gpulab-version"] == VERSION
    fitting = await browser.get("/gpulab/v1/nothing", headers={"X-Gpulab-Client": VERSION})
    assert fitting.json()["type"] == "/problems/not-found"
