"""The client that the lab hands out: its page, its index, and what is said to a client of another version."""

import asyncio
import hashlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.__main__ import Server
from api.web import client_wheel
from gpulab.version import VERSION, WHEEL, install_line
from models.settings import ApiSettings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(settings: ApiSettings) -> ApiSettings:
    return settings.model_copy(update={"root_path": "/gpulab"})


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab:8000") as made:
        yield made


async def test_the_page_names_the_line_to_paste_without_a_token(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/gpulab/client")
    assert page.status_code == 200
    assert f"<pre>pip install http://lab:8000/gpulab/client/{WHEEL}</pre>" in page.text
    assert "gpulab sign-in http://lab:8000/gpulab<" in page.text
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


@pytest.mark.parametrize("by", ["line", "index"])
async def test_pip_installs_it_from_a_real_server(server: tuple[Server, str], tmp_path: Path, by: str) -> None:
    address = f"{server[1]}/gpulab"
    arguments = {
        "line": install_line(address, VERSION).split()[2:],
        "index": ["gpulab", "--index-url", f"{address}/client/simple/"],
    }
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", "--target", str(tmp_path)]
    pip = await asyncio.create_subprocess_exec(sys.executable, *command, *arguments[by])
    assert await pip.wait() == 0
    assert (tmp_path / "gpulab" / "version.py").read_text() == (ROOT / "gpulab" / "version.py").read_text()
