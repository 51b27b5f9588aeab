"""The watchdog on a GPU that two jobs share: it ends the one that broke its reservation, and not its neighbour."""

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from experiments.contract import SAMPLES_FILE
from tests.gpu.holding import holding
from worker.measuring.nvml import Nvml
from worker.measuring.sampler import BREACH_READINGS, Breach, Sampler, Watched

pytestmark = pytest.mark.gpu
GIB = 1 << 30
TICKS_AFTERWARDS = 5


def watched(folder: Path, pid: int, uuid: str, breaches: list[Breach]) -> Watched:
    """A job that reserved 2 GiB. It is ended as the supervisor ends one: with all of its session."""
    (folder / str(pid)).mkdir()

    def end(breach: Breach) -> None:
        breaches.append(breach)
        os.killpg(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    return Watched(str(pid), folder / str(pid), pid, (uuid,), reserved_bytes=2 * GIB, on_breach=end)


def test_job_that_outgrows_its_reservation_is_ended_and_its_neighbour_is_not(
    nvml: Nvml, uuid: str, tmp_path: Path
) -> None:
    breaches: list[Breach] = []
    sampler = Sampler(nvml)
    watch = partial(watched, tmp_path, uuid=uuid, breaches=breaches)
    with holding(uuid, GIB // 2) as modest, holding(uuid, 3 * GIB) as greedy:
        used = (nvml.read(uuid).processes or {}).get(greedy)
        if used is None:
            pytest.skip("this driver does not show what a process holds")
        for pid in (modest, greedy):
            sampler.watch(watch(pid=pid))
        for _ in range(BREACH_READINGS - 1):
            sampler.tick()
        assert not breaches, "one reading alone may be a passing peak"
        for _ in range(1 + TICKS_AFTERWARDS):
            sampler.tick()
        left = nvml.read(uuid).processes or {}
        assert modest in left
        assert greedy not in left, "its memory is free"
    sampler.stop()

    (breach,) = breaches
    assert (breach.job_id, breach.gpu_uuid, breach.reserved_bytes) == (str(greedy), uuid, 2 * GIB)
    assert breach.process_used_bytes == used
    assert breach.device_used_bytes is not None
    assert breach.device_used_bytes >= used + GIB // 2
    lines = [json.loads(line) for line in (tmp_path / str(modest) / SAMPLES_FILE).read_text().splitlines()]
    seen = [line["values"]["process_used_bytes"] for line in lines if line["source"] == "gpu"]
    assert len(seen) == BREACH_READINGS + TICKS_AFTERWARDS
    assert all(GIB // 2 < bytes_ < 2 * GIB for bytes_ in seen)
