"""Measures, before a node joins, what its GPUs hold of a process besides tensors: CUDA context, libraries, workspaces.

A child process makes a context and takes a small training step; where it holds still, this process reads the driver.
What was measured of a GPU model under one driver, CUDA version and torch is kept in the database and not measured
again.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from typing import Any, Protocol

import structlog
from pydantic import ValidationError
from sqlalchemy import Engine

from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import Ending, Memory, Phase, RunOrder, Succeeded
from experiments.internal.gpu_constants.spec import CONTEXT, LIBRARIES, SLUG, STAGES, seen
from gpulab.schemas.memory import Constants, provenance
from models.composed import run
from models.settings import NodeSettings
from models.statements import nodes
from worker.measuring.nvml import GpuInfo, GpuReading, Nvml, NvmlAbsent
from worker.runs.zygote import NotStartedError, Zygote

LIMIT_SECONDS = 90.0
"""For all GPUs; a context takes seconds, cold libraries from a slow disk take tens of them."""
RELEASE_SECONDS = 5.0
"""The time for which a GPU may still show a process that has just ended."""
LOOK_SECONDS = 0.02

log = structlog.get_logger()


class Child(Protocol):
    """The process that is measured, a `worker.runs.zygote.JobProcess`."""

    pid: int

    def wait(self, timeout_seconds: float) -> bool: ...

    def kill(self) -> None: ...


Start = Callable[[Path, str], Child]
"""Starts the child in a run directory with `spec.json`, on the GPU of a UUID."""


class NotMeasuredError(Exception):
    """Why there is no measurement, in words."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one GPU: a measurement, or why there is none."""

    constants: Constants | None
    reason: str | None

    def row(self) -> dict[str, Any]:
        """As columns of `gpus`."""
        found = self.constants
        return {
            "constants": None if found is None else found.model_dump(mode="json"),
            "constants_of": None if found is None else found.provenance,
            "constants_reason": self.reason,
        }


UNKNOWN = Known(None, "it was added after the node's start, or is not healthy; the next start measures it")


class GpuConstants:
    """Of one node. `settle` before the node joins: nothing of the lab runs on its GPUs then."""

    def __init__(self, settings: NodeSettings, engine: Engine, nvml: Nvml | NvmlAbsent, zygote: Zygote) -> None:
        self._settings = settings
        self._engine = engine
        self._nvml = nvml
        self._zygote = zygote
        self._known: dict[str, Known] = {}

    def of(self, uuid: str) -> Known:
        return self._known.get(uuid, UNKNOWN)

    def settle(self) -> None:
        """Look up or measure each GPU model once; a GPU in use leaves it to another one of its model."""
        if isinstance(self._nvml, NvmlAbsent):
            return
        deadline = time.monotonic() + LIMIT_SECONDS
        found: dict[tuple[str, str], Known] = {}
        gpus = [gpu for gpu in self._nvml.gpus() if gpu.healthy and gpu.name is not None]
        for gpu in gpus:
            if (known := found.get(_kind(gpu))) is None or known.constants is None:
                found[_kind(gpu)] = self._look_up(gpu) or self._measured(self._nvml, gpu, deadline)
        self._known = {gpu.uuid: found[_kind(gpu)] for gpu in gpus}

    def _look_up(self, gpu: GpuInfo) -> Known | None:
        name, software = _kind(gpu)
        with self._engine.begin() as connection:
            row = run(connection, nodes.constants, name=name, software=software).scalar()
        try:
            return None if row is None else Known(Constants.model_validate(row), None)
        except ValidationError:
            # Another version of the lab wrote it.
            return None

    def _measured(self, nvml: Nvml, gpu: GpuInfo, deadline: float) -> Known:
        self._zygote.await_warm()
        folder = self._settings.runs_folder / f"{SLUG}-{gpu.uuid.replace('/', '-')}"
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._order().write(folder)
        try:
            known = Known(measure(nvml, gpu, folder, self._zygote.start, deadline), None)
        except (NotMeasuredError, NotStartedError, OSError) as error:
            known = Known(None, str(error))
        finally:
            rmtree(folder, ignore_errors=True)
        log.info("gpu.constants", uuid=gpu.uuid, reason=known.reason)
        return known

    def _order(self) -> RunOrder:
        return RunOrder(
            experiment=SLUG,
            spec={},
            device="cuda",
            datasets_folder=self._settings.datasets_folder,
            cache_folder=self._settings.cache_folder,
        )


def measure(nvml: Nvml, gpu: GpuInfo, folder: Path, start: Start, deadline: float) -> Constants:
    """Run the child in `folder`, and hold what the driver says of it against its allocator. Raises `NotMeasuredError`.

    The GPU must be free, so that no job is disturbed. `deadline` is a time of the monotonic clock.
    """
    _await_free(nvml, gpu.uuid)
    with _child(start, folder, gpu.uuid) as child:
        outside = {stage: _outside_allocator(nvml, gpu.uuid, folder, child, stage, deadline) for stage in STAGES}
        while not child.wait(LOOK_SECONDS):
            _check(deadline, "its result")
        ending = RecordReader(folder).ending()
    if not isinstance(ending, Succeeded):
        raise NotMeasuredError(_failure(ending))
    return Constants(
        gpu=gpu.name or "unknown",
        driver_version=gpu.driver_version,
        cuda_version=gpu.cuda_driver_version,
        torch_version=version("torch"),
        context_bytes=outside[CONTEXT],
        libraries_bytes=max(0, outside[LIBRARIES] - outside[CONTEXT]),
        **ending.value,
        measured_at=datetime.now(UTC),
    )


def _kind(gpu: GpuInfo) -> tuple[str, str]:
    return gpu.name or "", provenance(gpu.driver_version, gpu.cuda_driver_version, version("torch"))


@contextmanager
def _child(start: Start, folder: Path, uuid: str) -> Iterator[Child]:
    child = start(folder, uuid)
    try:
        yield child
    finally:
        child.kill()


def _await_free(nvml: Nvml, uuid: str) -> None:
    until = time.monotonic() + RELEASE_SECONDS
    while others := _others(nvml, uuid):
        if time.monotonic() > until:
            raise NotMeasuredError(f"the GPU is in use: {others}")
        time.sleep(LOOK_SECONDS)


def _others(nvml: Nvml, uuid: str) -> str:
    reading, processes = _read(nvml, uuid)
    if processes:
        return f"by the processes {', '.join(map(str, sorted(processes)))}"
    return "by processes that this node cannot see" if "processes" in reading.reasons else ""


def _read(nvml: Nvml, uuid: str) -> tuple[GpuReading, Mapping[int, int | None]]:
    reading = nvml.read(uuid)
    if reading.processes is None:
        raise NotMeasuredError(
            f"the driver does not report the memory of single processes: {reading.reasons['processes']}"
        )
    return reading, reading.processes


def _outside_allocator(nvml: Nvml, uuid: str, folder: Path, child: Child, stage: str, deadline: float) -> int:
    """Bytes that the child holds of the GPU outside torch's allocator at a stage."""
    while (reserved_bytes := _reserved_at(folder, stage)) is None:
        if child.wait(LOOK_SECONDS):
            raise NotMeasuredError(_failure(RecordReader(folder).ending()))
        _check(deadline, f"the stage {stage}")
    _, processes = _read(nvml, uuid)
    used = processes.get(child.pid)
    if used is None:
        raise NotMeasuredError("the driver does not report the memory of the measuring process")
    if processes.keys() - {child.pid}:
        raise NotMeasuredError("another process started on the GPU meanwhile")
    if used < reserved_bytes:
        raise NotMeasuredError(f"the driver reports less ({used} bytes) than torch reserved ({reserved_bytes} bytes)")
    (folder / seen(stage)).touch()
    return used - reserved_bytes


def _reserved_at(folder: Path, stage: str) -> int | None:
    """What the allocator held when the child reached a stage; null until then."""
    reserved_bytes: int | None = None
    for record in RecordReader(folder).every():
        if isinstance(record, Memory):
            reserved_bytes = record.levels().get("reserved_bytes")
        if isinstance(record, Phase) and record.name == stage:
            return reserved_bytes
    return None


def _check(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise NotMeasuredError(f"the measuring process did not reach {what} in time")


def _failure(ending: Ending | None) -> str:
    words = "it ended without an error message" if ending is None or isinstance(ending, Succeeded) else ending.message
    return f"the measuring process failed: {words}"
