"""A lab that believes it has GPUs reserves what was predicted, refuses what cannot fit, and learns from what it saw."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gpulab.schemas import AccuracyRead
from tests.acceptance.test_gpus import GpuLab
from tests.fakes.nvml import GIB
from tests.lab import wait_until


@pytest.fixture(scope="module")
def gpu_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuLab]:
    # A busy machine takes its time to warm a zygote; no test here is about the limit of the wait.
    made = GpuLab(tmp_path_factory.mktemp("reservations"), GPULAB_ESTIMATE_WAIT_SECONDS="300")
    try:
        made.start()
        wait_until(lambda: len(made.client.get("/v1/gpus").json()["items"]) == 2, what="two GPUs")
        warm = {"experiment": "probe-gpu", "spec": {"batch_size": 1}}
        wait_until(
            lambda: made.client.post("/v1/estimates", params={"wait": 20}, json=warm).status_code == 200,
            timeout_seconds=100,
            what="a first estimate",
        )
        yield made
    finally:
        made.stop()


def trained(lab: GpuLab, gate: Path, batch_size: int, **fields: Any) -> str:
    return lab.submit("probe-gpu", {"steps": 1, "gate": str(gate), "batch_size": batch_size}, **fields)


def sampled(lab: GpuLab, job_id: str) -> bool:
    tracks = lab.client.get(f"/v1/jobs/{job_id}/samples").json()["tracks"]
    return any(track["source"] == "gpu" for track in tracks)


def test_jobs_that_say_nothing_share_a_gpu_by_their_predictions_and_the_lab_learns(
    gpu_lab: GpuLab, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    both = [trained(gpu_lab, gate, 8) for _ in range(2)]
    jobs = [gpu_lab.wait_for(job_id, "running") for job_id in both]

    assert jobs[0]["gpu_uuids"] == jobs[1]["gpu_uuids"]
    answer = gpu_lab.client.get(jobs[0]["estimate"]["url"]).json()
    predicted = answer["gpus"][0]["peak_device_bytes"]
    reserved = {gpu["uuid"]: gpu["memory_reserved_bytes"] for gpu in gpu_lab.client.get("/v1/gpus").json()["items"]}
    # Before the first run, the interval's high end, and never less than the smallest margin.
    each = max(predicted["high_bytes"], predicted["likely_bytes"] * 1.02)
    assert abs(reserved[jobs[0]["gpu_uuids"][0]] - 2 * each) < 1024
    for job_id in both:
        wait_until(partial(sampled, gpu_lab, job_id), what="a sample of the GPU")
    gate.write_text("1")
    for job_id in both:
        gpu_lab.wait_for(job_id, "succeeded")
    found = AccuracyRead.model_validate_json(gpu_lab.client.get("/v1/estimates/accuracy").content)
    (row,) = found.items
    assert (row.family, row.runs) == ("resnet", 2)
    assert [point.measured_bytes for point in row.points] == [GIB, GIB]
    assert row.median_error == pytest.approx(GIB / predicted["likely_bytes"] - 1)
    # The runs took less than predicted: the margin falls to its least.
    assert row.margin == pytest.approx(0.02)


def test_what_cannot_fit_fails_with_numbers_and_edits(gpu_lab: GpuLab, tmp_path: Path) -> None:
    job_id = trained(gpu_lab, tmp_path / "gate", 65_536)
    job = gpu_lab.wait_for(job_id, "failed")

    assert job["cause"] == "cannot_fit"
    assert "largest GPU of the lab" in job["message"]
    assert "80.0 GiB" in job["message"]
    assert "batch_size=" in job["message"]
    assert job["attempt"] == 0


def test_user_who_says_how_much_is_believed(gpu_lab: GpuLab, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.write_text("1")
    job_id = trained(gpu_lab, gate, 65_536, gpu_memory_bytes=2 * GIB)

    assert gpu_lab.wait_for(job_id, "succeeded")["estimate"]["id"]


def test_job_that_outgrew_its_reservation_is_told_what_would_fit_whoever_is_killed_meanwhile(
    gpu_lab: GpuLab, tmp_path: Path
) -> None:
    gpu_lab.show(3 * GIB)
    job_id = trained(gpu_lab, tmp_path / "gate", 16, gpu_memory_bytes=2 * GIB)
    failure = gpu_lab.wait_for(job_id, "failed")["failure"]
    gpu_lab.kill("worker")
    gpu_lab.show(GIB)
    gpu_lab.start("worker")

    assert (failure["ended_by"], failure["inside_reservation"]) == ("watchdog", False)
    assert (failure["limit_bytes"], failure["process_used_bytes"]) == (2 * GIB, 3 * GIB)
    assert failure["at"]

    def advised() -> dict[str, Any] | None:
        job = gpu_lab.job(job_id)
        return job if job["failure"]["edits"] else None

    job = wait_until(advised, timeout_seconds=90, what="edits")
    assert job is not None
    edit = job["failure"]["edits"][0]
    assert edit["change"]["batch_size"] < 16
    assert edit["peak_device_bytes"]["likely_bytes"] < job["failure"]["predicted_peak_bytes"]
    assert job["message"].endswith(f"batch_size={edit['change']['batch_size']} would fit")
    events = [event["type"] for event in gpu_lab.client.get(f"/v1/jobs/{job_id}/events").json()["items"]]
    assert events[-2:] == ["job.failed", "job.advised"]
