"""`gpulab status` in words for people."""

from collections.abc import Callable, Iterator

import pytest

from gpulab.cli import main
from tests.unit.gpulab.stub_lab import TOKEN, StubLab


@pytest.fixture
def status(
    stub: StubLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., list[str]]]:
    """The lines that `gpulab status ARGUMENTS` prints."""
    with stub.serve() as url:
        monkeypatch.setenv("GPULAB_URL", url)
        monkeypatch.setenv("GPULAB_TOKEN", TOKEN)

        def lines(*arguments: object) -> list[str]:
            assert main(["status", *map(str, arguments)]) == 0
            return capsys.readouterr().out.splitlines()

        yield lines


def test_status_tells_energy_and_memory_over_time_or_why_not(status: Callable[..., list[str]], stub: StubLab) -> None:
    measured = {"attempt": 2, "gpu_uuid": "GPU-1", "seconds": 12.0, "energy_joules": 3456.0, "gib_seconds": 90.5}
    unknown = measured | {"attempt": 1, "energy_joules": None, "gib_seconds": None}
    reasons = {"energy_joules": "counter_reset", "gib_seconds": "driver asleep"}
    stub.usage = [unknown | {"shared": False, "reasons": reasons}, measured | {"shared": True, "reasons": {}}]
    job = stub.add(state="succeeded", attempt=2)
    lines = status(job.id)
    assert "time limit        1 min" in lines
    told = [line for line in lines if line.startswith(("energy", "memory over time"))]
    assert [line.split(maxsplit=1 if line.startswith("energy") else 3)[-1] for line in told] == [
        "not measured: the driver's counter was reset (attempt 1, GPU-1)",
        "not measured: driver asleep (attempt 1, GPU-1)",
        "3456 J of the whole board, other jobs included (attempt 2, GPU-1)",
        "90.5 GiB s of its processes (attempt 2, GPU-1)",
    ]


def test_status_finds_states_by_the_words_it_shows(status: Callable[..., list[str]], stub: StubLab) -> None:
    starting = stub.add(state="leased")
    stub.add(state="running")
    (line,) = status("--state", "starting")[1:]
    assert str(starting.id) in line
    assert " starting " in line
