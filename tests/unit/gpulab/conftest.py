"""The stub stub, and both clients behind one face, so that each behaviour is tested on both."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import gpulab
from gpulab.cli import main
from gpulab.client import drivers
from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import TOKEN, StubLab


@pytest.fixture
def stub() -> StubLab:
    return StubLab()


@pytest.fixture
def run(
    stub: StubLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """Runs one command line in an empty folder; returns its exit code and what it printed."""
    with stub.serve() as url:
        monkeypatch.setenv("GPULAB_URL", url)
        monkeypatch.setenv("GPULAB_TOKEN", TOKEN)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)

        def command(*arguments: object) -> Ran:
            code = main([str(argument) for argument in arguments])
            return Ran(code, *capsys.readouterr())

        yield command


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that clients asked for; none is taken."""
    taken: list[float] = []

    async def note(seconds: float) -> None:
        taken.append(seconds)

    class Asyncio:
        sleep = staticmethod(note)

    class Time:
        sleep = staticmethod(taken.append)

    monkeypatch.setattr(drivers, "asyncio", Asyncio)
    monkeypatch.setattr(drivers, "time", Time)
    return taken


@pytest.fixture
def client(stub: StubLab, sleeps: list[float]) -> Iterator[gpulab.Client]:
    with gpulab.Client("http://lab", TOKEN, transport=httpx.MockTransport(stub.handle)) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def either(request: pytest.FixtureRequest, stub: StubLab, sleeps: list[float]) -> Iterator[Any]:
    """A client whose every answer is there at once: iterators are lists."""
    transport = httpx.MockTransport(stub.handle)
    if request.param == "sync":
        with gpulab.Client("http://lab", TOKEN, transport=transport) as client:
            yield _Plain(client, lambda value: list(value) if inspect.isgenerator(value) else value)
    else:
        with asyncio.Runner() as runner:
            client = gpulab.AsyncClient("http://lab", TOKEN, transport=transport)
            yield _Plain(client, lambda value: _awaited(runner, value))
            runner.run(client.close())


class _Plain:
    def __init__(self, wrapped: Any, settle: Any) -> None:
        self._wrapped = wrapped
        self._settle = settle

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        if not inspect.ismethod(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            return self._wrap(self._settle(found(*args, **options)))

        return call

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._wrap(item) for item in value]
        return _Plain(value, self._settle) if isinstance(value, gpulab.Job | gpulab.AsyncJob) else value


def _awaited(runner: asyncio.Runner, value: Any) -> Any:
    if inspect.isasyncgen(value):
        return runner.run(_collected(value))
    return runner.run(value) if inspect.iscoroutine(value) else value


async def _collected(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]
