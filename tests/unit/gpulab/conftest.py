"""The stub lab, a client and a command line that talk to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import gpulab
from gpulab.cli import main
from gpulab.client.transport import pauses
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

    monkeypatch.setattr(pauses, "sleep", taken.append)
    return taken


@pytest.fixture
def client(stub: StubLab, sleeps: list[float]) -> Iterator[gpulab.Client]:
    with gpulab.Client("http://lab", TOKEN, transport=httpx.MockTransport(stub.handle)) as client:
        yield client
