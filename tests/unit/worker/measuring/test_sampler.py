"""What the sampler writes of a job, and when it tells a breach. Only the test of the thread leaves the ticks to it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from experiments.contract import SAMPLES_FILE
from tests.fakes.nvml import GIB, FakeGpu, FakeNvml
from worker.measuring.nvml import Nvml, NvmlAbsent, Reason
from worker.measuring.sampler import (
    BREACH_READINGS,
    FIRST_READING,
    GPU_VALUES,
    NO_PROCESS,
    Breach,
    Sampler,
    Watched,
    next_due,
)
from worker.measuring.sessions import live_processes, use_from_stat

GPU = FakeGpu("GPU-1")
NO_GPU = NvmlAbsent("no NVIDIA driver is installed")
WAIT = "import sys; print('up', flush=True); sys.stdin.read()"
WAIT_WITH_CHILD = (
    "import subprocess, sys; pipe = subprocess.PIPE\n"
    f"child = subprocess.Popen([sys.executable, '-c', {WAIT!r}], stdin=pipe, stdout=pipe)\n"
    "child.stdout.readline(); print(child.pid, flush=True); sys.stdin.read()\n"
)
SPIN = (
    "import sys, threading\n"
    "print('up', flush=True)\n"
    "waiter = threading.Thread(target=sys.stdin.read)\n"
    "waiter.start()\n"
    "while waiter.is_alive(): pass\n"
)


@contextmanager
def job(code: str = WAIT) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that leads its own session, and the first line it said."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.communicate(timeout=30)


@contextmanager
def sampler_on(world: FakeNvml, *gpus: FakeGpu) -> Iterator[Sampler]:
    world.write(*gpus)
    with world.loaded():
        nvml = Nvml.open()
        assert isinstance(nvml, Nvml)
        yield Sampler(nvml, clock=lambda: 1000.5)
        nvml.close()


def watched(folder: Path, pid: int, **changes: Any) -> Watched:
    return replace(Watched("job-1", folder, pid, ("GPU-1",), None, None), **changes)


def lines(folder: Path, source: str | None = None) -> list[dict[str, Any]]:
    path = folder / SAMPLES_FILE
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in found if source in (None, line["source"])]


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_tick_writes_one_line_for_the_host_and_one_for_each_gpu(world: FakeNvml, tmp_path: Path) -> None:
    with job() as (process, _), sampler_on(world, GPU, FakeGpu("GPU-2")) as sampler:
        world.write(replace(GPU, processes={process.pid: 2 * GIB, os.getpid(): GIB}), FakeGpu("GPU-2"))
        sampler.watch(watched(tmp_path, process.pid, gpu_uuids=("GPU-1", "GPU-2")))
        sampler.tick()
    host, first, second = lines(tmp_path)
    assert (host["time"], host["source"], host["reasons"]) == (1000.5, "host", {"cpu_percent": FIRST_READING})
    assert host["values"]["processes"] == 1
    assert host["values"]["rss_bytes"] > 1 << 20
    assert first == {
        "time": 1000.5,
        "source": "gpu",
        "gpu": "GPU-1",
        "values": {
            "device_used_bytes": 3 * GIB + GIB // 2,
            "process_used_bytes": 2 * GIB,
            "utilization_percent": 37,
            "power_watts": 250.0,
            "temperature_celsius": 41,
            "energy_joules": 5000.0,
        },
        "reasons": {},
    }
    assert second["gpu"] == "GPU-2"
    assert second["values"]["process_used_bytes"] is None
    assert second["reasons"] == {"process_used_bytes": NO_PROCESS}


def test_children_count_as_the_job(world: FakeNvml, tmp_path: Path) -> None:
    with job(WAIT_WITH_CHILD) as (process, child), sampler_on(world, GPU) as sampler:
        world.write(replace(GPU, processes={process.pid: GIB, int(child): 3 * GIB}))
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
    host, gpu = lines(tmp_path)
    assert host["values"]["processes"] == 2
    assert gpu["values"]["process_used_bytes"] == 4 * GIB


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"processes": {"*": None}}, Reason.NOT_AVAILABLE),
        ({"processes": {"*": GIB}, "swapped": 1}, Reason.IMPLAUSIBLE),
        ({"fail": {"processes": pynvml.NVML_ERROR_NOT_SUPPORTED}}, Reason.NOT_SUPPORTED),
        ({"fail": {"all": pynvml.NVML_ERROR_GPU_IS_LOST}}, Reason.GPU_LOST),
        ({"processes": {2**22 + 1: GIB}}, Reason.PID_UNKNOWN),
        ({}, NO_PROCESS),
    ],
)
def test_unknown_process_memory_is_null_with_the_drivers_reason(
    world: FakeNvml, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    with job() as (process, _), sampler_on(world, GPU) as sampler:
        world.write(replace(GPU, **change))
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
    (gpu,) = lines(tmp_path, "gpu")
    assert gpu["values"]["process_used_bytes"] is None
    assert gpu["reasons"]["process_used_bytes"] == reason


def test_sum_with_an_unknown_part_is_unknown(world: FakeNvml, tmp_path: Path) -> None:
    with job(WAIT_WITH_CHILD) as (process, child), sampler_on(world, GPU) as sampler:
        world.write(replace(GPU, processes={process.pid: GIB, int(child): None}))
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
    (gpu,) = lines(tmp_path, "gpu")
    assert gpu["values"]["process_used_bytes"] is None
    assert gpu["reasons"] == {"process_used_bytes": Reason.NOT_AVAILABLE}


def test_every_null_of_a_lost_gpu_has_its_reason(world: FakeNvml, tmp_path: Path) -> None:
    with job() as (process, _), sampler_on(world, GPU) as sampler:
        world.write(replace(GPU, fail={"all": pynvml.NVML_ERROR_GPU_IS_LOST}))
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
    (gpu,) = lines(tmp_path, "gpu")
    assert set(gpu["values"].values()) == {None}
    assert set(gpu["reasons"]) == set(gpu["values"])


def test_without_a_gpu_only_the_host_is_sampled(tmp_path: Path) -> None:
    sampler = Sampler(NO_GPU)
    with job() as (process, _):
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
    assert [line["source"] for line in lines(tmp_path)] == ["host"]
    assert sampler.latest() == {}


def test_cpu_percent_is_the_share_used_since_the_reading_before(tmp_path: Path) -> None:
    sampler = Sampler(NO_GPU)
    with job(SPIN) as (process, _):
        sampler.watch(watched(tmp_path, process.pid, gpu_uuids=()))
        sampler.tick()

        def busy() -> bool:
            sampler.tick()
            return any((line["values"]["cpu_percent"] or 0) > 0 for line in lines(tmp_path))

        eventually(busy)
    assert lines(tmp_path)[-1]["reasons"] == {}


def test_vanished_process_leaves_no_line(tmp_path: Path) -> None:
    sampler = Sampler(NO_GPU)
    with job() as (process, _):
        pass
    sampler.watch(watched(tmp_path, process.pid))
    sampler.tick()
    assert lines(tmp_path) == []


def test_process_that_ends_while_it_is_looked_at_is_left_out() -> None:
    assert [use.pid for use in live_processes([os.getpid(), 2**22 + 1])] == [os.getpid()]


def test_zombie_is_not_a_process_of_the_job(tmp_path: Path) -> None:
    sampler = Sampler(NO_GPU)
    with job() as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
        process.wait()
        process.stdin = None
    assert lines(tmp_path) == []


def test_process_that_gave_up_its_memory_is_not_measured() -> None:
    line = Path("/proc/self/stat").read_bytes()
    use = use_from_stat(os.getpid(), line)
    assert use is not None
    resident = str(use.rss_bytes // os.sysconf("SC_PAGE_SIZE")).encode()
    assert use_from_stat(os.getpid(), line.replace(b" %s " % resident, b" 0 ")) is None


def test_nothing_is_written_after_unwatch(tmp_path: Path) -> None:
    sampler = Sampler(NO_GPU)
    with job() as (process, _):
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
        sampler.unwatch("job-1")
        sampler.unwatch("job-1")
        sampler.tick()
    assert len(lines(tmp_path)) == 1
    assert str(tmp_path / SAMPLES_FILE) not in {str(link.readlink()) for link in open_files()}


def test_job_is_watched_once(tmp_path: Path) -> None:
    sampler = Sampler(NO_GPU)
    sampler.watch(watched(tmp_path, os.getpid()))
    with pytest.raises(ValueError, match="job-1 is watched already"):
        sampler.watch(watched(tmp_path, os.getpid()))
    sampler.unwatch("job-1")


def test_latest_holds_every_gpu_also_without_a_job(world: FakeNvml) -> None:
    with sampler_on(world, GPU, replace(FakeGpu("GPU-2"), power=None)) as sampler:
        sampler.tick()
        latest = sampler.latest()
    assert latest["GPU-1"].power_watts == 250.0
    assert latest["GPU-2"].reasons == {"power_watts": Reason.NOT_SUPPORTED}


def open_files() -> list[Path]:
    return [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]


class Breaches(list[Breach]):
    def __call__(self, breach: Breach) -> None:
        self.append(breach)


def used_by_job(world: FakeNvml, *gibibytes: int | None) -> Iterator[None]:
    for used in gibibytes:
        world.write(replace(GPU, processes={"*": used if used is None else used * GIB}))
        yield


def test_breach_is_told_once_after_three_successive_readings(world: FakeNvml, tmp_path: Path) -> None:
    told = Breaches()
    with job() as (process, _), sampler_on(world, GPU) as sampler:
        sampler.watch(watched(tmp_path, process.pid, reserved_bytes=2 * GIB, on_breach=told))
        counts = []
        for _ in used_by_job(world, 3, 3, 3, 4, 1, 3, 3, 3):
            sampler.tick()
            counts.append(len(told))
    assert counts == [0, 0, 1, 1, 1, 1, 1, 1]
    (breach,) = told
    assert (breach.gpu_uuid, breach.device_total_bytes) == ("GPU-1", GPU.total)
    assert (breach.process_used_bytes, breach.reserved_bytes) == (3 * GIB, 2 * GIB)
    # Servers that tests before this one started are on the fake GPU too, each with as much as the job.
    assert breach.device_used_bytes in {GPU.base_used + leaders * 3 * GIB for leaders in range(1, 1000)}


@pytest.mark.parametrize(
    ("readings", "breaches"),
    [((3, 3, 2, 3, 3), 0), ((2, 2, 2, 2, 2), 0), ((3, None, 3, 3, 2), 1)],
    ids=["passing-peak", "exactly-reserved", "a-missing-reading-is-no-proof-of-innocence"],
)
def test_only_successive_known_readings_above_the_reservation_count(
    world: FakeNvml, tmp_path: Path, readings: tuple[int | None, ...], breaches: int
) -> None:
    told = Breaches()
    with job() as (process, _), sampler_on(world, GPU) as sampler:
        sampler.watch(watched(tmp_path, process.pid, reserved_bytes=2 * GIB, on_breach=told))
        for _ in used_by_job(world, *readings):
            sampler.tick()
    assert len(told) == breaches


def test_neighbours_memory_is_nobodys_breach_but_its_own(world: FakeNvml, tmp_path: Path) -> None:
    told = Breaches()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with job() as (greedy, _), job() as (modest, _), sampler_on(world, GPU) as sampler:
        for name, process in (("a", greedy), ("b", modest)):
            sampler.watch(watched(tmp_path / name, process.pid, job_id=name, reserved_bytes=2 * GIB, on_breach=told))
        world.write(replace(GPU, processes={greedy.pid: 9 * GIB, modest.pid: GIB}))
        for _ in range(BREACH_READINGS):
            sampler.tick()
    assert [breach.job_id for breach in told] == ["a"]


def test_unlimited_job_cannot_breach(world: FakeNvml, tmp_path: Path) -> None:
    told = Breaches()
    with job() as (process, _), sampler_on(world, GPU) as sampler:
        sampler.watch(watched(tmp_path, process.pid, on_breach=told))
        for _ in used_by_job(world, 70, 70, 70):
            sampler.tick()
    assert told == []


def test_thread_samples_until_it_is_stopped_and_survives_a_bad_callback(world: FakeNvml, tmp_path: Path) -> None:
    called = threading.Event()

    def bad(_breach: Breach) -> None:
        called.set()
        raise RuntimeError("the callback is broken")

    world.write(replace(GPU, processes={"*": 3 * GIB}))
    with job() as (process, _), world.loaded(), capture_logs() as logs:
        nvml = Nvml.open()
        assert isinstance(nvml, Nvml)
        sampler = Sampler(nvml, hz=50)
        sampler.start()
        sampler.watch(watched(tmp_path, process.pid, reserved_bytes=GIB, on_breach=bad))
        assert called.wait(20)
        before = len(lines(tmp_path))
        eventually(lambda: len(lines(tmp_path)) > before + 4)
        sampler.stop()
        nvml.close()
        after = len(lines(tmp_path))
        times = [line["time"] for line in lines(tmp_path, "gpu")]
    assert [entry["event"] for entry in logs] == ["sampler.failed"]
    assert len(lines(tmp_path)) == after
    assert times == sorted(set(times))


@given(
    due=st.floats(0, 1e6),
    period=st.floats(0.01, 10),
    late=st.floats(0, 100),
)
def test_next_due_keeps_the_grid_and_never_lies_behind(due: float, period: float, late: float) -> None:
    found = next_due(due, period, due + late)
    steps = (found - due) / period
    assert abs(steps - round(steps)) < 1e-3
    assert round(steps) >= 1
    assert found >= due + late - 1e-6
    assert found <= due + max(late, 0) + period + 1e-6


@pytest.mark.parametrize("hz", [0, -1, 101, float("nan")])
def test_rate_outside_its_limits_is_refused(hz: float) -> None:
    with pytest.raises(ValueError, match="hz must be above 0 and at most 100"):
        Sampler(NO_GPU, hz=hz)


def test_every_field_and_reason_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "measuring.md").read_text()
    names = [*GPU_VALUES, "process_used_bytes", "rss_bytes", "cpu_percent", "processes"]
    rows = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert {*names, *Reason, NO_PROCESS, FIRST_READING} <= rows
