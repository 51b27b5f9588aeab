"""What one node measured of a GPU model holds for every node with the same software, and is kept."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine

from gpulab.schemas.memory import Constants
from models.statements import nodes
from tests.fakes.nvml import FakeGpu, FakeNvml, build_library
from worker.measuring import gpu_overhead
from worker.measuring.gpu_overhead import GpuConstants, Known
from worker.measuring.nvml import Nvml

Execute = Callable[..., list[Any]]
MIB = 2**20


@pytest.fixture
def nvml(tmp_path: Path) -> Iterator[Nvml]:
    world = FakeNvml(tmp_path, build_library(tmp_path))
    world.write(FakeGpu("GPU-1", name="Tesla T4"), FakeGpu("GPU-2", name="Tesla T4"))
    with world.loaded():
        opened = Nvml.open()
        assert isinstance(opened, Nvml)
        yield opened
        opened.close()


def measurement(gpu: str = "Tesla T4") -> Constants:
    return Constants(
        gpu=gpu,
        driver_version="580.65.06",
        cuda_version="13.0",
        torch_version=version("torch"),
        context_bytes=250 * MIB,
        libraries_bytes=50 * MIB,
        cublas_workspace_bytes=8 * MIB,
        convolution_workspace_bytes=70 * MIB,
        measured_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def settled(engine: Engine, nvml: Nvml, folder: Path) -> GpuConstants:
    settings: Any = SimpleNamespace(runs_folder=folder, datasets_folder=folder, cache_folder=folder)
    zygote: Any = SimpleNamespace(await_warm=lambda: None, start=None)
    found = GpuConstants(settings, engine, nvml, zygote)
    found.settle()
    return found


def kept(execute: Execute, node: str, uuid: str, known: Known) -> None:
    described = {"name": "Tesla T4", "memory_total_bytes": 1, "healthy": True, "reason": None, "latest": {}}
    row = {"uuid": uuid, "node": node, "index": 0, **described, **known.row()}
    assert execute(nodes.keep_gpus([row], silence_seconds=60))


def test_one_gpu_of_a_model_is_measured_for_all(
    engine: Engine, nvml: Nvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measure(_nvml: Nvml, gpu: Any, *_: Any) -> Constants:
        asked.append(gpu.uuid)
        if gpu.uuid == "GPU-1":
            raise gpu_overhead.NotMeasuredError("it is in use")
        return measurement()

    monkeypatch.setattr(gpu_overhead, "measure", measure)
    found = settled(engine, nvml, tmp_path)
    assert asked == ["GPU-1", "GPU-2"], "the second lends what the first could not give"
    assert found.of("GPU-1") == found.of("GPU-2") == Known(measurement(), None)
    assert found.of("GPU-3").reason


def test_what_another_node_measured_is_not_measured_again(
    engine: Engine, nvml: Nvml, tmp_path: Path, execute: Execute, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_overhead, "measure", lambda *_: pytest.fail("measured again"))
    kept(execute, node, "GPU-9", Known(measurement(), None))
    assert settled(engine, nvml, tmp_path).of("GPU-1") == Known(measurement(), None)


def test_other_software_is_another_measurement(
    engine: Engine, nvml: Nvml, tmp_path: Path, execute: Execute, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Constants:
        raise gpu_overhead.NotMeasuredError("torch sees no GPU")

    monkeypatch.setattr(gpu_overhead, "measure", fails)
    kept(execute, node, "GPU-9", Known(measurement().model_copy(update={"driver_version": "570.1"}), None))
    found = settled(engine, nvml, tmp_path).of("GPU-1")
    assert found == Known(None, "torch sees no GPU")
    kept(execute, node, "GPU-1", found)
    assert not execute(nodes.constants("Tesla T4", measurement().provenance)), "null is no measurement"
