"""The file of samples: a full disk, and what a run puts in its place, cost lines and never a look for a breach."""

import errno
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from experiments.contract import SAMPLES_FILE
from tests.fakes.nvml import GIB, FakeNvml
from tests.unit.worker.measuring.test_sampler import GPU, NO_GPU, Breaches, job, lines, sampler_on, used_by_job, watched
from worker.measuring.sampler import Sampler


def refuse_to_write(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """Files whose path has the word lie on a full disk."""
    write = os.write

    def refused(file: int, text: bytes) -> int:
        if word in os.readlink(f"/proc/self/fd/{file}"):  # noqa: PTH115 - no path of ours
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, text)

    monkeypatch.setattr("worker.measuring.sampler.os.write", refused)


def test_breach_is_noticed_on_a_full_disk(world: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, host_told = Breaches(), []
    refuse_to_write(monkeypatch, SAMPLES_FILE)
    with job() as (process, _), sampler_on(world, GPU) as sampler:
        limits = {"reserved_bytes": 2 * GIB, "on_breach": told}
        host_limits = {"host_limit_bytes": 1, "on_host_breach": host_told.append}
        sampler.watch(watched(tmp_path, process.pid, **limits, **host_limits))
        for _ in used_by_job(world, 9, 9, 9):
            sampler.tick()
    assert (len(told), len(host_told), lines(tmp_path)) == (1, 1, [])


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_run_that_puts_something_else_in_the_place_of_its_samples_is_watched_and_nothing_is_written(
    world: FakeNvml, tmp_path: Path, kind: str
) -> None:
    told = Breaches()
    target, place = tmp_path / "target", tmp_path / "run" / SAMPLES_FILE
    place.parent.mkdir()
    target.write_bytes(b"")
    if kind == "link":
        place.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    reader = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    with job() as (process, _), sampler_on(world, GPU) as sampler:
        sampler.watch(watched(place.parent, process.pid, reserved_bytes=2 * GIB, on_breach=told))
        for _ in used_by_job(world, 9, 9, 9):
            sampler.tick()
        if kind != "folder":
            assert os.read(reader, 10) == b""
        sampler.unwatch("job-1")
    os.close(reader)
    assert len(told) == 1


def test_failing_job_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, fine = tmp_path / "full", tmp_path / "fine"
    full.mkdir()
    fine.mkdir()
    refuse_to_write(monkeypatch, "/full/")
    sampler = Sampler(NO_GPU)
    with job() as (process, _), capture_logs() as logs:
        for folder in (full, fine):
            sampler.watch(watched(folder, process.pid, job_id=folder.name))
        sampler.tick()
        sampler.tick()
        assert len(lines(fine)) == 2
        assert [(entry["event"], entry["job_id"]) for entry in logs] == [("samples.not_written", "full")], "said once"
        sampler.unwatch("full")
        sampler.watch(watched(full, process.pid, job_id="full"))
        sampler.tick()
        assert len(logs) == 2, "a new attempt is a new story"


def test_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler(NO_GPU)
    write = os.write
    with job() as (process, _):
        sampler.watch(watched(tmp_path, process.pid))
        sampler.tick()
        monkeypatch.setattr("worker.measuring.sampler.os.write", lambda file, text: write(file, text[:10]))
        sampler.tick()
        monkeypatch.undo()
        sampler.tick()
    assert len(lines(tmp_path)) == 2
