"""What worker.measuring.nvml makes of each kind of GPU, through pynvml's real ctypes path and the fake library."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pynvml
import pytest

from sandbox import MigInstance
from tests.fakes.nvml import GIB, FakeGpu, FakeNvml
from worker.measuring.nvml import GpuReading, Nvml, NvmlAbsent, Reason

HERE = os.getpid()
MIB = 1 << 20
NOBODY = 2**22 + 1  # above the largest pid that Linux gives
GPU = FakeGpu("GPU-1")
OPTIONAL = {
    "power": ("power_watts",),
    "temperature": ("temperature_celsius",),
    "energy": ("energy_joules",),
    "utilization": ("utilization_percent", "memory_utilization_percent"),
}


@contextmanager
def opened(world: FakeNvml, *gpus: FakeGpu, **machine: str | int) -> Iterator[Nvml]:
    world.write(*gpus, **machine)
    with world.loaded():
        nvml = Nvml.open()
        assert isinstance(nvml, Nvml)
        yield nvml
        nvml.close()


def read_one(world: FakeNvml, gpu: FakeGpu) -> GpuReading:
    with opened(world, gpu) as nvml:
        return nvml.read(gpu.uuid)


def test_reading_is_in_bytes_watts_and_joules(world: FakeNvml) -> None:
    reading = read_one(world, replace(GPU, processes={HERE: 3 * GIB, os.getppid(): GIB}))
    assert reading.values() == {
        "device_used_bytes": 4 * GIB + GIB // 2,
        "device_free_bytes": 80 * GIB - 4 * GIB - GIB // 2,
        "device_total_bytes": 80 * GIB,
        "utilization_percent": 37,
        "memory_utilization_percent": 12,
        "power_watts": 250.0,
        "temperature_celsius": 41,
        "energy_joules": 5000.0,
    }
    assert reading.processes == {HERE: 3 * GIB, os.getppid(): GIB}
    assert reading.reasons == {}
    assert reading.healthy


def test_drivers_own_memory_is_neither_used_nor_to_be_had(world: FakeNvml) -> None:
    gpu = FakeGpu("GPU-1", total=15_360 * MIB, reserved=430 * MIB, base_used=2 * MIB)
    with opened(world, gpu) as nvml:
        reading = nvml.read("GPU-1")
        (info,) = nvml.gpus()
    assert reading.device_used_bytes == 2 * MIB
    assert reading.device_total_bytes == info.memory_total_bytes == 14_930 * MIB
    assert reading.device_free_bytes == 14_928 * MIB


def test_older_driver_counts_its_own_memory_as_used(tmp_path: Path, nvml_libraries: Callable[..., Path]) -> None:
    world = FakeNvml(tmp_path, nvml_libraries("nvmlDeviceGetMemoryInfo_v2"))
    reading = read_one(world, FakeGpu("GPU-1", total=15_360 * MIB, reserved=430 * MIB, base_used=2 * MIB))
    assert reading.device_used_bytes == 432 * MIB
    assert reading.device_total_bytes == 15_360 * MIB
    assert reading.reasons == {}


def test_inventory_names_every_gpu(world: FakeNvml) -> None:
    with opened(
        world, GPU, FakeGpu("GPU-2", name="Other", total=8 * GIB), driver_version="575.1", cuda_version=12080
    ) as nvml:
        first, second = nvml.gpus()
    assert (first.uuid, first.index, first.memory_total_bytes) == ("GPU-1", 0, 80 * GIB)
    assert (second.uuid, second.index, second.name, second.memory_total_bytes) == ("GPU-2", 1, "Other", 8 * GIB)
    assert (second.driver_version, second.cuda_driver_version) == ("575.1", "12.8")
    assert first.healthy
    assert first.reason is None


@pytest.mark.parametrize("what", OPTIONAL)
def test_unsupported_reading_is_null_and_the_gpu_stays_healthy(world: FakeNvml, what: str) -> None:
    reading = read_one(world, replace(GPU, **{what: None}))
    for name in OPTIONAL[what]:
        assert getattr(reading, name) is None
        assert reading.reasons[name] == Reason.NOT_SUPPORTED
    assert set(reading.reasons) == set(OPTIONAL[what])
    assert reading.healthy


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (pynvml.NVML_ERROR_NO_PERMISSION, Reason.NO_PERMISSION),
        (pynvml.NVML_ERROR_NO_DATA, Reason.NOT_AVAILABLE),
        (pynvml.NVML_ERROR_UNKNOWN, Reason.DRIVER_ERROR),
    ],
)
def test_failed_extra_reading_is_null_with_its_own_reason(world: FakeNvml, code: int, reason: Reason) -> None:
    reading = read_one(world, replace(GPU, fail={"power": code}))
    assert reading.reasons == {"power_watts": reason}
    assert reading.healthy


@pytest.mark.parametrize(
    ("wrong", "nulls"),
    [
        ({"used": 81 * GIB}, {"device_used_bytes", "device_free_bytes", "device_total_bytes"}),
        ({"utilization": 101}, {"utilization_percent", "memory_utilization_percent"}),
        ({"power": 2**32 - 1}, {"power_watts"}),
        ({"temperature": 2**32 - 1}, {"temperature_celsius"}),
    ],
)
def test_value_that_cannot_be_true_is_not_kept(world: FakeNvml, wrong: dict[str, int], nulls: set[str]) -> None:
    reading = read_one(world, replace(GPU, **wrong))
    assert reading.reasons == dict.fromkeys(nulls, Reason.IMPLAUSIBLE)
    assert {name for name, value in reading.values().items() if value is None} == nulls


def test_energy_sentinel_is_not_a_reading(world: FakeNvml) -> None:
    assert read_one(world, replace(GPU, energy=-1)).reasons == {"energy_joules": Reason.NOT_AVAILABLE}


def test_lost_gpu_keeps_its_uuid_and_hides_nobody(world: FakeNvml) -> None:
    other = FakeGpu("GPU-2")
    with opened(world, GPU, other) as nvml:
        nvml.gpus()
        world.write(replace(GPU, fail={"all": pynvml.NVML_ERROR_GPU_IS_LOST}), other)
        lost, fine = nvml.gpus()
        reading = nvml.read("GPU-1")
        assert nvml.read("GPU-2").healthy
    assert (lost.uuid, lost.healthy, fine.uuid, fine.healthy) == ("GPU-1", False, "GPU-2", True)
    assert lost.reason is not None
    assert "lost" in lost.reason
    assert set(reading.values().values()) == {None}
    assert reading.processes is None
    assert set(reading.reasons) == {*reading.values(), "processes"}
    assert set(reading.reasons.values()) == {Reason.GPU_LOST}
    assert reading.fault is not None
    assert "lost" in reading.fault


def test_gpu_that_was_lost_from_the_start_has_no_uuid_to_lease(world: FakeNvml) -> None:
    with opened(world, replace(GPU, fail={"handle": pynvml.NVML_ERROR_GPU_IS_LOST}), FakeGpu("GPU-2")) as nvml:
        lost, fine = nvml.gpus()
    assert (lost.uuid, lost.index, lost.healthy) == ("unknown-0", 0, False)
    assert fine.healthy


def test_lost_gpu_that_comes_back_is_read_again(world: FakeNvml) -> None:
    with opened(world, replace(GPU, fail={"all": pynvml.NVML_ERROR_GPU_IS_LOST})) as nvml:
        assert not nvml.read("GPU-1").healthy
        world.write(GPU)
        assert nvml.read("GPU-1").healthy


def test_unknown_error_on_memory_is_a_fault_of_the_gpu(world: FakeNvml) -> None:
    with opened(world, replace(GPU, fail={"memory": pynvml.NVML_ERROR_UNKNOWN})) as nvml:
        (info,) = nvml.gpus()
        reading = nvml.read("GPU-1")
    assert not info.healthy
    assert info.memory_total_bytes is None
    assert reading.fault == "Unknown Error"
    assert reading.device_used_bytes is None
    assert reading.power_watts == 250.0, "what can be read is read"


def test_gpu_without_a_memory_reading_cannot_be_leased_but_is_not_at_fault(world: FakeNvml) -> None:
    with opened(world, replace(GPU, total=None)) as nvml:
        (info,) = nvml.gpus()
        reading = nvml.read("GPU-1")
    assert not info.healthy
    assert info.reason == "its memory cannot be read: Not Supported"
    assert reading.healthy
    assert reading.reasons["device_used_bytes"] == Reason.NOT_SUPPORTED


def test_uuid_of_another_machine_is_not_found(world: FakeNvml) -> None:
    with opened(world, GPU) as nvml:
        reading = nvml.read("GPU-elsewhere")
    assert set(reading.reasons.values()) == {Reason.NOT_FOUND}
    assert not reading.healthy


def test_process_memory_that_the_driver_withholds_is_none_not_zero(world: FakeNvml) -> None:
    reading = read_one(world, replace(GPU, processes={HERE: None}))
    assert reading.processes == {HERE: None}


def test_idle_gpu_lists_no_process_and_needs_no_reason(world: FakeNvml) -> None:
    reading = read_one(world, GPU)
    assert reading.processes == {}
    assert reading.reasons == {}


def test_dead_pid_is_dropped_with_a_reason(world: FakeNvml) -> None:
    reading = read_one(world, replace(GPU, processes={HERE: GIB, NOBODY: GIB}))
    assert reading.processes == {HERE: GIB}
    assert reading.reasons == {"processes": Reason.PID_UNKNOWN}


@pytest.mark.parametrize(
    "wrong",
    [
        {"processes": {HERE: 2 * GIB}, "swapped": 1},
        {"processes": {HERE: GIB, 0: GIB}},
        {"processes": {HERE: 81 * GIB}, "used": GIB},
        {"processes": {HERE: GIB, os.getppid(): 81 * GIB}, "used": GIB},
    ],
    ids=["swapped", "pid-zero", "more-than-the-device", "one-bad-of-two"],
)
def test_process_list_that_cannot_be_true_is_discarded_whole(world: FakeNvml, wrong: dict[str, object]) -> None:
    reading = read_one(world, replace(GPU, **wrong))
    assert reading.processes is None
    assert reading.reasons == {"processes": Reason.IMPLAUSIBLE}
    assert reading.healthy


def test_wildcard_stands_for_the_sessions_below_the_reader(world: FakeNvml) -> None:
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as job,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        assert job.stdout is not None
        assert other.stdout is not None
        assert job.stdout.readline() == other.stdout.readline() == b"up\n"
        reading = read_one(world, replace(GPU, processes={"*": GIB}))
        job.communicate()
        other.communicate()
    # Servers that tests before this one started lead sessions too.
    assert reading.processes is not None
    assert (reading.processes.get(job.pid), reading.processes.get(other.pid)) == (GIB, None)
    assert reading.device_used_bytes == len(reading.processes) * GIB + GIB // 2


def test_driver_without_the_newest_process_call_is_asked_the_older_one(
    tmp_path: Path, nvml_libraries: Callable[..., Path]
) -> None:
    world = FakeNvml(tmp_path, nvml_libraries("nvmlDeviceGetComputeRunningProcesses_v3"))
    assert read_one(world, replace(GPU, processes={HERE: GIB})).processes == {HERE: GIB}


def test_driver_without_any_known_process_call_says_so(tmp_path: Path, nvml_libraries: Callable[..., Path]) -> None:
    calls = [f"nvmlDeviceGetComputeRunningProcesses_v{version}" for version in (2, 3)]
    reading = read_one(FakeNvml(tmp_path, nvml_libraries(*calls)), replace(GPU, processes={HERE: GIB}))
    assert reading.processes is None
    assert reading.reasons == {"processes": Reason.SYMBOL_MISSING}
    assert reading.healthy


def test_each_mig_instance_is_a_gpu_of_its_own(world: FakeNvml) -> None:
    slices = [
        FakeGpu(f"MIG-{n}", total=10 * GIB, utilization=None, power=None, temperature=None, energy=None) for n in (1, 2)
    ]
    busy = replace(slices[0], processes={HERE: GIB})
    with opened(world, replace(GPU, mig=1, mig_devices=[busy, slices[1]]), FakeGpu("GPU-2")) as nvml:
        infos = nvml.gpus()
        reading = nvml.read("MIG-1")
        places = [nvml.mig_instance(uuid) for uuid in ("MIG-1", "MIG-2", "GPU-2", "MIG-unknown")]
    assert places == [MigInstance(GPU.uuid, 1, 0), MigInstance(GPU.uuid, 2, 0), None, None]
    assert [(info.uuid, info.mig, info.healthy) for info in infos] == [
        ("MIG-1", True, True),
        ("MIG-2", True, True),
        ("GPU-2", False, True),
    ]
    assert infos[0].memory_total_bytes == 10 * GIB
    assert reading.processes == {HERE: GIB}
    assert reading.device_used_bytes == GIB + GIB // 2
    assert reading.reasons["utilization_percent"] == reading.reasons["power_watts"] == Reason.NOT_SUPPORTED


def test_mig_device_without_instances_cannot_be_leased(world: FakeNvml) -> None:
    with opened(world, replace(GPU, mig=1)) as nvml:
        (info,) = nvml.gpus()
    assert (info.uuid, info.mig, info.healthy) == ("GPU-1", True, False)
    assert info.reason == "MIG mode is on and no instance exists"


def test_gpu_that_knows_no_mig_is_an_ordinary_gpu(world: FakeNvml) -> None:
    with opened(world, replace(GPU, mig=None)) as nvml:
        (info,) = nvml.gpus()
    assert (info.mig, info.healthy) == (False, True)


def test_after_close_every_reading_is_null_and_known_gpus_are_reported_broken(world: FakeNvml) -> None:
    with opened(world, GPU) as nvml:
        nvml.gpus()
        nvml.close()
        (info,) = nvml.gpus()
        reading = nvml.read("GPU-1")
    assert (info.uuid, info.healthy) == ("GPU-1", False)
    assert set(reading.values().values()) == {None}
    assert not reading.healthy


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "kernel module is not loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "reboot after a driver update"),
        (pynvml.NVML_ERROR_UNKNOWN, "NVML did not start: Unknown Error"),
    ],
)
def test_failed_start_is_an_answer_in_words(world: FakeNvml, code: int, words: str) -> None:
    world.write(GPU, init_error=code)
    with world.loaded():
        absent = Nvml.open()
    assert isinstance(absent, NvmlAbsent)
    assert words in absent.reason


def test_machine_without_a_driver_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_there(_name: str) -> None:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(pynvml, "CDLL", not_there)
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    assert Nvml.open() == NvmlAbsent("no NVIDIA driver is installed: libnvidia-ml.so.1 was not found")


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path, version: str) -> None:
    place = folder / f"pynvml-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pynvml\nVersion: {version}\n")
    monkeypatch.syspath_prepend(folder)
    assert metadata.version("pynvml") == version


def test_old_pynvml_distribution_is_refused(world: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, tmp_path, "11.5.3")
    with world.loaded():
        absent = Nvml.open()
    assert isinstance(absent, NvmlAbsent)
    assert "pynvml 11.5.3" in absent.reason
    assert "pip uninstall pynvml" in absent.reason


def test_new_pynvml_distribution_is_only_a_pointer_and_harmless(
    world: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path, "13.0.1")
    with opened(world, GPU) as nvml:
        assert nvml.read("GPU-1").healthy


def test_started_process_finds_the_library_by_the_drivers_name_and_follows_the_script(world: FakeNvml) -> None:
    code = (
        "from worker.measuring.nvml import Nvml\n"
        "nvml = Nvml.open()\n"
        "while input():\n"
        "    print(nvml.read('GPU-1').temperature_celsius, flush=True)\n"
    )
    world.write(GPU)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **world.env},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for celsius in (41, 77):
            world.write(replace(GPU, temperature=celsius))
            process.stdin.write("read\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{celsius}\n"
        process.communicate("\n")


def test_xids_are_told_once_and_those_of_applications_never(world: FakeNvml) -> None:
    with opened(world, GPU, FakeGpu("GPU-2", xids=(48,))) as nvml:
        assert nvml.new_xids() == [], "what was before counts as known"
        world.write(GPU, FakeGpu("GPU-2", xids=(48, 13, 79, 31), fail={"uuid": pynvml.NVML_ERROR_GPU_IS_LOST}))
        assert nvml.new_xids() == [(1, 79)]
        assert nvml.new_xids() == []


def test_driver_that_reports_no_xids_is_no_trouble(
    world: FakeNvml, tmp_path: Path, nvml_libraries: Callable[..., Path]
) -> None:
    old = FakeNvml(tmp_path, nvml_libraries("nvmlEventSetCreate"))
    with opened(old, GPU) as nvml:
        assert nvml.new_xids() == []
