"""docs/api.md: its examples run, and its table of refusals is complete."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.http.problems import STATUS_SLUGS, Refusal
from models.settings import ApiSettings
from tests.integration.api.conftest import serving
from tests.integration.api.seeds import SeededUser

DOCUMENT = Path(__file__).parents[3] / "docs" / "api.md"
ROW = re.compile(r"^\| `/problems/([a-z-]+)` \| (\d+) \|", re.MULTILINE)


def refusals(kind: type[Refusal] = Refusal) -> set[tuple[str, int]]:
    """Slug and status of every kind that is raised."""
    below = {pair for child in kind.__subclasses__() for pair in refusals(child)}
    return below if kind is Refusal else below | {(kind.slug, kind.status)}


@pytest.fixture
async def quick(settings: ApiSettings) -> AsyncIterator[str]:
    """A server that holds no request for long: here is no worker to wait for."""
    async with serving(settings.model_copy(update={"max_wait_seconds": 1})) as (_, url):
        yield url


def test_table_of_refusals_is_complete() -> None:
    listed = {(slug, int(status)) for slug, status in ROW.findall(DOCUMENT.read_text())}
    assert listed == refusals() | {(slug, status) for status, slug in STATUS_SLUGS.items()}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_examples_run(quick: str, admin: SeededUser, tmp_path: Path) -> None:
    environment = os.environ | {"GPULAB_URL": quick, "GPULAB_TOKEN": admin.token}
    blocks = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            block,
            cwd=tmp_path,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            _, errors = await process.communicate()
        assert process.returncode == 0, f"{block}\n{errors.decode()}"


async def test_contract_is_written_once_and_packed_for_who_can_unpack_it(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as stranger:
        packed = await stranger.get("/openapi.json")
        made, app.openapi_schema = app.openapi_schema, {"servers": []}
        plain = await stranger.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert plain.json() == packed.json() == made
