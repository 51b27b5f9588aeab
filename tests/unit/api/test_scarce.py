"""A process that may open no further file says so with 503, and any other fault of the system stays a fault."""

import errno
import os

import httpx
import pytest
from fastapi import FastAPI, Request

from api.http import rendering


async def ask(fault: int) -> httpx.Response:
    app = FastAPI()
    rendering.install(app)

    @app.get("/file")
    async def file(request: Request) -> None:
        request.state.request_id = "r1"
        raise OSError(fault, os.strerror(fault))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as client:
        return await client.get("/file")


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.EAGAIN])
async def test_lack_of_files_is_503_with_retry_after(fault: int) -> None:
    answer = await ask(fault)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert "Retry-After" in answer.headers


async def test_any_other_fault_is_ours() -> None:
    with pytest.raises(PermissionError):
        await ask(errno.EACCES)
