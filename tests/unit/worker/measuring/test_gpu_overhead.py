"""What a node measures of a GPU before it joins, by the driver's word on a child that holds still."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.internal.gpu_constants.spec import CONTEXT, LIBRARIES, seen
from gpulab.run.files import RECORDS_FILE
from gpulab.schemas.memory import Constants
from tests.fakes.nvml import GIB, FakeGpu, FakeNvml
from worker.measuring.gpu_overhead import NotMeasuredError, measure
from worker.measuring.nvml import Nvml

MIB = 1 << 20
NVML_ERROR_NOT_SUPPORTED = 3
WORKSPACES = {"cublas_workspace_bytes": 8 * MIB, "convolution_workspace_bytes": 70 * MIB}
Script = Iterator[None]


class ScriptedChild:
    """Stands for the measuring process: each look at it lets its script go one step further."""

    def __init__(self, script: Callable[["ScriptedChild"], Script], world: FakeNvml, folder: Path) -> None:
        self.pid = os.getpid()  # a process that exists
        self.world = world
        self.folder = folder
        self.killed = False
        self._script = script(self)

    def wait(self, timeout_seconds: float) -> bool:  # noqa: ARG002 - as that of a process
        try:
            next(self._script)
        except StopIteration:
            return True
        return False

    def kill(self) -> None:
        self.killed = True

    def record(self, kind: str, **fields: Any) -> None:
        with (self.folder / RECORDS_FILE).open("a") as file:
            file.write(json.dumps({"time": 0.0, "type": kind, **fields}) + "\n")

    def hold(self, stage: str, *, used_bytes: int | None, reserved_bytes: int) -> Script:
        """Be seen with so much of the GPU until somebody has looked."""
        self.world.write(FakeGpu("GPU-1", processes={self.pid: used_bytes}))
        self.record("memory", allocated_bytes=0, reserved_bytes=reserved_bytes)
        self.record("phase", name=stage)
        while not (self.folder / seen(stage)).exists():
            yield


def whole(child: ScriptedChild) -> Script:
    yield
    yield from child.hold(CONTEXT, used_bytes=302 * MIB, reserved_bytes=2 * MIB)
    yield from child.hold(LIBRARIES, used_bytes=600 * MIB, reserved_bytes=200 * MIB)
    child.record("result", value=WORKSPACES)


@pytest.fixture
def measured(world: FakeNvml, tmp_path: Path) -> Callable[..., Constants]:
    """Measure GPU-1 with a scripted child."""

    def run(script: Callable[[ScriptedChild], Script], limit_seconds: float = 60.0) -> Constants:
        children: list[ScriptedChild] = []

        def start(folder: Path, uuid: str) -> ScriptedChild:
            assert uuid == "GPU-1"
            children.append(ScriptedChild(script, world, folder))
            return children[-1]

        with world.loaded():
            nvml = Nvml.open()
            assert isinstance(nvml, Nvml)
            try:
                return measure(nvml, nvml.gpus()[0], tmp_path, start, time.monotonic() + limit_seconds)
            finally:
                nvml.close()
                assert all(child.killed for child in children)

    world.write(FakeGpu("GPU-1", name="Tesla T4"))
    return run


def test_context_and_libraries_are_what_the_driver_shows_beyond_the_allocator(
    measured: Callable[..., Constants],
) -> None:
    found = measured(whole)
    assert found.context_bytes == 300 * MIB
    assert found.libraries_bytes == 100 * MIB
    assert found.cublas_workspace_bytes == 8 * MIB
    assert found.convolution_workspace_bytes == 70 * MIB
    assert (found.gpu, found.driver_version, found.cuda_version) == ("Tesla T4", "580.65.06", "13.0")
    assert found.torch_version
    assert found.provenance == f"driver 580.65.06, CUDA 13.0, torch {found.torch_version}"


def fails(child: ScriptedChild) -> Script:
    yield
    child.record("error", message="RuntimeError: torch sees no GPU")


def dies(_child: ScriptedChild) -> Script:
    yield


def is_not_listed(child: ScriptedChild) -> Script:
    yield from child.hold(CONTEXT, used_bytes=None, reserved_bytes=2 * MIB)


def has_company(child: ScriptedChild) -> Script:
    holding = child.hold(CONTEXT, used_bytes=GIB, reserved_bytes=2 * MIB)
    next(holding)
    child.world.write(FakeGpu("GPU-1", processes={child.pid: GIB, os.getppid(): GIB}))
    yield


def shows_less_than_it_reserved(child: ScriptedChild) -> Script:
    yield from child.hold(CONTEXT, used_bytes=MIB, reserved_bytes=2 * MIB)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (fails, "torch sees no GPU"),
        (dies, "ended without an error message"),
        (is_not_listed, "does not report the memory of the measuring process"),
        (has_company, "another process started"),
        (shows_less_than_it_reserved, "less"),
    ],
)
def test_what_goes_wrong_is_the_reason(
    measured: Callable[..., Constants], script: Callable[[ScriptedChild], Script], reason: str
) -> None:
    with pytest.raises(NotMeasuredError, match=reason):
        measured(script)


def test_child_that_never_gets_there_is_given_up(measured: Callable[..., Constants]) -> None:
    def hangs(_child: ScriptedChild) -> Script:
        while True:
            yield

    with pytest.raises(NotMeasuredError, match="stage context in time"):
        measured(hangs, limit_seconds=0.0)


def test_gpu_in_use_is_left_alone(
    measured: Callable[..., Constants], world: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.measuring.gpu_overhead.RELEASE_SECONDS", 0.0)
    world.write(FakeGpu("GPU-1", processes={os.getppid(): GIB}))
    with pytest.raises(NotMeasuredError, match=f"in use: by the processes {os.getppid()}"):
        measured(whole)
    world.write(FakeGpu("GPU-1", processes={2**22 + 1: GIB}))
    with pytest.raises(NotMeasuredError, match="cannot see"):
        measured(whole)


def test_gpu_that_a_process_is_just_leaving_is_waited_for(
    measured: Callable[..., Constants], world: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(FakeGpu("GPU-1", processes={os.getppid(): GIB}))
    monkeypatch.setattr("worker.measuring.gpu_overhead.time.sleep", lambda _seconds: world.write(FakeGpu("GPU-1")))
    assert measured(whole).context_bytes == 300 * MIB


def test_driver_without_figures_of_processes_is_the_reason(measured: Callable[..., Constants], world: FakeNvml) -> None:
    world.write(FakeGpu("GPU-1", fail={"processes": NVML_ERROR_NOT_SUPPORTED}))
    with pytest.raises(NotMeasuredError, match="memory of single processes: not_supported"):
        measured(whole)
