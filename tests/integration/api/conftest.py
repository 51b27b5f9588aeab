"""The API over a database of the test's own: in the test's process, and behind a real port where that matters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from api.__main__ import Server, server_of
from api.app import create_app
from models.settings import ApiSettings
from tests.integration.api.seeds import SeededUser, Seeds


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> ApiSettings:
    return ApiSettings(
        database_url=database_url,
        redis_url=redis_url,
        artifacts_url=(tmp_path / "artifacts").as_uri(),
        pool_size=4,
        stream_limit=25,
    )


@pytest.fixture
def seeds(engine: Engine) -> Seeds:
    return Seeds(engine)


@pytest.fixture
def admin(seeds: Seeds) -> SeededUser:
    return seeds.user("admin")


@pytest.fixture
async def app(settings: ApiSettings) -> AsyncIterator[FastAPI]:
    made = create_app(settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lab") as made:
        yield made


@pytest.fixture
async def client(anonymous: httpx.AsyncClient, admin: SeededUser) -> httpx.AsyncClient:
    """Speaks as the admin."""
    anonymous.headers.update(admin.headers)
    return anonymous


@asynccontextmanager
async def serving(settings: ApiSettings) -> AsyncIterator[tuple[Server, str]]:
    server = server_of(settings)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def server(settings: ApiSettings) -> AsyncIterator[tuple[Server, str]]:
    """A real server in the test's loop, and its address."""
    async with serving(settings) as made:
        yield made


@pytest.fixture
async def remote(server: tuple[Server, str], admin: SeededUser) -> AsyncIterator[httpx.AsyncClient]:
    """The admin at a real port, for streams."""
    async with httpx.AsyncClient(base_url=server[1], headers=admin.headers, timeout=20) as made:
        yield made
