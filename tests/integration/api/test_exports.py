"""An export holds little in memory, does not hold others up, and is refused before it begins."""

import asyncio
import csv
import io
import threading
import zipfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import IO, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from api.exports import service
from api.exports.archive import Archive
from api.exports.response import ExportResponse
from api.http.problems import AnswerCutOff
from api.limits.turns import Turns, asker
from gpulab.states import Role
from models import MetricChunk
from tests.integration.api.seeds import SeededUser, Seeds


@pytest.fixture
def olga(seeds: Seeds) -> SeededUser:
    seeds.node()
    return seeds.user("olga", Role.STUDENT)


class Watched(Archive):
    """Knows which thread wrote each member that is compressed."""

    threads: dict[str, set[int]]

    @contextmanager
    def member(self, name: str, *, compressed: bool = True) -> Iterator[IO[bytes]]:
        with super().member(name, compressed=compressed) as file:
            write = file.write

            def watched(data: bytes) -> int:
                if len(data) > 100:
                    self.threads.setdefault(name, set()).add(threading.get_ident())
                return write(data)

            file.write = watched  # type: ignore[method-assign, assignment]
            yield file


async def test_long_series_are_exported_whole_a_few_chunks_at_a_time_beside_the_event_loop(
    client: httpx.AsyncClient, seeds: Seeds, olga: SeededUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [seeds.job(olga) for _ in range(service.RUNS_PAGE + 2)]
    names = ("accuracy", "loss")
    chunks = [
        {"job_id": run, "attempt": 1, "name": name, "steps": [at] * 5, "times": [1.0] * 5, "values": [0.5] * 5}
        for run in runs
        for at in range(service.CHUNKS_PAGE + 1)
        for name in names
    ]
    with seeds.engine.begin() as connection:
        connection.execute(insert(MetricChunk), chunks)
    for run in runs:
        for start in range(0, 2000, 200):
            seeds.log(run, start, b"x" * 200)
    pages: list[int] = []
    write_points = service._write_points

    def counting(file: IO[bytes], job_id: Any, shown: Any) -> None:
        pages.append(len(shown))
        write_points(file, job_id, shown)

    threads: dict[str, set[int]] = {}
    monkeypatch.setattr(Watched, "threads", threads, raising=False)
    monkeypatch.setattr(service, "_write_points", counting)
    monkeypatch.setattr(service, "Archive", Watched)
    answer = await client.get(f"/v1/users/{olga.id}/export", headers=olga.headers)
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    points = list(csv.reader(io.StringIO(found.read("metrics.csv").decode())))[1:]
    wanted = sorted((str(one["job_id"]), one["name"], str(one["steps"][0])) for one in chunks for _ in range(5))
    assert sorted((run, name, step) for run, name, step, _, _ in points) == wanted
    assert [row[1] for row in points[: len(points) // len(runs)]] == ["accuracy"] * 25 + ["loss"] * 25
    assert all(found.read(f"output/{run}.log") == b"x" * 2000 for run in runs)
    assert max(pages) <= service.CHUNKS_PAGE <= 4
    assert {"runs.ndjson", "metrics.csv", f"output/{runs[0]}.log", "manifest.json"} <= threads.keys()
    assert threading.get_ident() not in set().union(*threads.values())


async def test_export_that_gets_no_turn_is_refused_with_its_status(
    app: FastAPI, client: httpx.AsyncClient, olga: SeededUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WAIT_SECONDS", 0.05)
    path = f"/v1/users/{olga.id}/export"
    async with AsyncExitStack() as turns:
        for other in (uuid4(), uuid4()):
            asker.set(other)
            await turns.enter_async_context(service.turn(app.state.app))
        refused = await client.get(path, headers=olga.headers)
        assert (refused.status_code, refused.json()["title"]) == (503, "The lab is busy")
        assert refused.headers["content-type"] == "application/problem+json"
    for _ in range(2):
        assert (await client.get(path, headers=olga.headers)).status_code == 200
    events = (await client.get("/v1/audit", params={"action": "user.exported"})).json()["items"]
    assert len(events) == 2


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_export_gives_its_turn_back_when_its_reader_leaves_or_is_too_slow(version: str) -> None:
    turns, closed = Turns(1, of_one=1), 0

    async def pieces() -> AsyncGenerator[bytes]:
        nonlocal closed
        try:
            while True:
                yield b"x"
        finally:
            closed += 1

    async def sent_to(send: Send, receive: Receive, seconds: float) -> None:
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(turns.taken(wait_seconds=0.01))
            response = ExportResponse(pieces(), turn.pop_all(), seconds=seconds, headers={})
        await response({"type": "http", "asgi": {"spec_version": version}}, receive, send)

    async def stuck(_: Any = None) -> Any:
        await asyncio.sleep(60)

    async def gone(_: Any = None) -> Any:
        raise OSError

    async def reads_none_of_it(message: Any) -> None:
        if message["type"] == "http.response.body":
            await stuck()

    with pytest.raises(AnswerCutOff):
        await sent_to(reads_none_of_it, stuck, 0.05)
    with pytest.raises(OSError if version == "2.3" else ClientDisconnect):
        await sent_to(gone, stuck, 60)
    assert closed == 1
    async with turns.taken(wait_seconds=0.01):
        pass
