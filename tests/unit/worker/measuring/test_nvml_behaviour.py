"""What must hold of any NVML, asserted of the fake library and, where there is one, of the machine's own driver."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.nvml import GIB, FakeGpu, FakeNvml
from worker.measuring.nvml import GpuReading, Nvml, NvmlAbsent


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def nvml(request: pytest.FixtureRequest, world: FakeNvml) -> Iterator[Nvml]:
    if request.param == "real":
        yield from _opened()
        return
    world.write(
        FakeGpu("GPU-1", processes={os.getpid(): GIB, os.getppid(): None}),
        FakeGpu("GPU-2", power=None, energy=None),
    )
    with world.loaded():
        yield from _opened()


def _opened() -> Iterator[Nvml]:
    nvml = Nvml.open()
    if isinstance(nvml, NvmlAbsent):
        pytest.skip(nvml.reason)
    yield nvml
    nvml.close()


@pytest.fixture
def readings(nvml: Nvml) -> list[GpuReading]:
    return [nvml.read(gpu.uuid) for gpu in nvml.gpus()]


def test_every_gpu_has_its_own_uuid_and_a_verdict(nvml: Nvml) -> None:
    gpus = nvml.gpus()
    assert gpus
    assert len({gpu.uuid for gpu in gpus}) == len(gpus)
    for gpu in gpus:
        assert gpu.uuid.startswith(("GPU-", "MIG-", "unknown-"))
        assert gpu.healthy == (gpu.reason is None)
        assert not gpu.healthy or (gpu.memory_total_bytes or 0) > GIB // 2
        assert gpu.driver_version
        assert gpu.cuda_driver_version
        assert int(gpu.cuda_driver_version.split(".")[0]) >= 11


def test_every_null_has_a_reason_and_no_reading_has_one(readings: list[GpuReading]) -> None:
    for reading in readings:
        nulls = {name for name, value in reading.values().items() if value is None}
        assert set(reading.reasons) - {"processes"} == nulls
        assert reading.processes is not None or "processes" in reading.reasons


def test_memory_adds_up(readings: list[GpuReading]) -> None:
    for reading in readings:
        if reading.device_total_bytes is not None:
            assert reading.device_used_bytes is not None
            assert reading.device_free_bytes is not None
            assert 0 <= reading.device_used_bytes <= reading.device_total_bytes
            assert reading.device_used_bytes + reading.device_free_bytes <= reading.device_total_bytes


def test_listed_processes_exist_and_fit_the_device(readings: list[GpuReading]) -> None:
    for reading in readings:
        for pid, used in (reading.processes or {}).items():
            assert Path(f"/proc/{pid}").exists()
            assert used is None or 0 <= used <= (reading.device_total_bytes or used)


def test_readings_are_within_physical_bounds(readings: list[GpuReading]) -> None:
    limits = {"utilization_percent": 100, "memory_utilization_percent": 100, "power_watts": 5000}
    limits |= {"temperature_celsius": 130}
    for reading in readings:
        for name, limit in limits.items():
            value = reading.values()[name]
            assert value is None or 0 <= value <= limit


def test_energy_never_runs_backwards(nvml: Nvml) -> None:
    for gpu in nvml.gpus():
        first, second = nvml.read(gpu.uuid).energy_joules, nvml.read(gpu.uuid).energy_joules
        assert first is None or second is None or second >= first


def test_a_uuid_that_no_gpu_has_is_all_nulls(nvml: Nvml) -> None:
    reading = nvml.read("GPU-00000000-0000-0000-0000-000000000000")
    assert set(reading.values().values()) == {None}
    assert set(reading.reasons) == {*reading.values(), "processes"}
    assert reading.fault
