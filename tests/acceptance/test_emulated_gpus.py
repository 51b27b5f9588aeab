"""A whole lab on two emulated T4: CUDA code from the submission to what NVML, the process and the allocator show."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.build import BuildError, build
from emulator.cards import card
from emulator.world import VARIABLE, World, emulated
from sandbox import capability
from tests.lab import Lab, wait_until

GIB = 1 << 30
PROGRAM = b"""
import sys, torch
from gpulab import run
model = torch.nn.Sequential(torch.nn.Linear(512, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 10)).cuda()
optimizer = torch.optim.AdamW(model.parameters())
for step in range(int(sys.argv[1])):
    loss = model(torch.ones(64, 512, device="cuda")).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
run.result({"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()})
"""
GPU_IS_LOST, LAUNCH_FAILURE, FELL_OFF_THE_BUS = 15, 719, 79
SMALL = {"model": "resnet18", "image_size": 64, "batch_size": 8, "optimizer": "sgd_momentum"}


class EmulatedLab(Lab):
    def __init__(self, folder: Path) -> None:
        self.world = World(folder / "world.txt")
        self.show()
        settings = {"GPULAB_EMULATE": "T4,T4", VARIABLE: str(self.world.path), "GPULAB_ESTIMATE_WAIT_SECONDS": "300"}
        super().__init__(folder, settings=settings)

    def show(self, changed: str = "", **changes: Any) -> None:
        """Two cards; the one with the UUID `changed` is changed so."""
        gpus = [emulated(card("T4"), index) for index in range(2)]
        self.world.write(*(replace(gpu, **changes) if gpu.uuid == changed else gpu for gpu in gpus))

    def train(self, **more: Any) -> str:
        """A training on a GPU that goes on until it is cancelled."""
        spec = {"dataset": "digits", "epochs": 10_000, "images": 64, "validation_images": 16, "batch_size": 32}
        return self.submit("train-classifier", spec, gpus=1, **more)

    def holding(self, job_id: str) -> bool:
        """Whether it has been seen to hold memory of its GPU."""
        return bool(self.seen(job_id))

    def seen(self, job_id: str) -> list[float]:
        tracks = {t["source"]: t for t in self.client.get(f"/v1/jobs/{job_id}/samples").json()["tracks"]}
        return [value for value in tracks["gpu"]["values"]["process_used_bytes"] if value] if "gpu" in tracks else []

    def recorded(self, kind: str) -> bool:
        """Whether the run under way has written such a record."""
        return any(f'"type":"{kind}"' in path.read_text() for path in self.runs.rglob("records.ndjson"))

    def cancel(self, *job_ids: str) -> None:
        for job_id in job_ids:
            self.client.post(f"/v1/jobs/{job_id}/cancel")
        for job_id in job_ids:
            self.wait_for(job_id, "cancelled")

    def result(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/jobs/{job_id}").json()["result"]
        return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedLab]:
    try:
        build()
    except BuildError as error:
        pytest.skip(str(error))
    made = EmulatedLab(tmp_path_factory.mktemp("emulated"))
    try:
        made.start()
        wait_until(lambda: len(made.client.get("/v1/gpus").json()["items"]) == 2, timeout_seconds=100, what="two GPUs")
        yield made
    finally:
        made.stop()


def test_every_gpu_says_that_it_is_emulated_and_what_a_process_takes_of_it(lab: EmulatedLab) -> None:
    gpus = lab.client.get("/v1/gpus").json()["items"]
    assert [gpu["name"] for gpu in gpus] == ["emulated T4"] * 2
    t4 = card("T4").generation
    assert [gpu["constants"]["context_bytes"] for gpu in gpus] == [t4.context_bytes] * 2
    assert gpus[0]["constants"]["libraries_bytes"] == t4.cublas_bytes + t4.cudnn_bytes


def test_job_on_cuda_shows_its_memory_in_three_views_and_no_power(lab: EmulatedLab) -> None:
    job_id = lab.submit("model-memory", SMALL)
    job = lab.wait_for(job_id, "succeeded", timeout_seconds=100)
    assert (job["device"], job["gpu_names"]) == ("cuda", ["emulated T4"])
    reading = lab.result(job_id)["readings"][-1]
    assert 3 * reading["parameter_bytes"] < reading["peak_allocated_bytes"] <= reading["reserved_bytes"]
    t4 = card("T4").generation
    outside = t4.context_bytes + t4.cublas_bytes + t4.cudnn_bytes
    assert reading["device_used_bytes"] == reading["reserved_bytes"] + outside
    assert max(lab.seen(job_id)) > t4.context_bytes
    tracks = {t["source"]: t for t in lab.client.get(f"/v1/jobs/{job_id}/samples").json()["tracks"]}
    assert not any(tracks["gpu"]["values"].get("power_watts") or [])


def test_what_is_after_values_stays_on_the_cpu(lab: EmulatedLab) -> None:
    training = {"dataset": "digits", "epochs": 1, "images": 64, "validation_images": 16, "batch_size": 32}
    job_id = lab.submit("train-classifier", training)
    assert lab.wait_for(job_id, "succeeded", timeout_seconds=100)["device"] == "cpu"
    assert lab.result(job_id)["final_validation_accuracy"] is not None


def test_a_training_that_asks_for_a_gpu_has_memory_and_no_accuracy_loss_or_time(lab: EmulatedLab) -> None:
    training = {"dataset": "digits", "epochs": 1, "images": 64, "validation_images": 16, "batch_size": 32}
    job_id = lab.submit("train-classifier", training, gpus=1)
    assert lab.wait_for(job_id, "succeeded", timeout_seconds=100)["device"] == "cuda"
    result = lab.result(job_id)
    assert result["not_known"].startswith("the GPU was emulated")
    assert (result["final_validation_accuracy"], result["images_per_second"]) == (None, None)
    assert result["rows"][0]["mean_loss"] is None
    assert result["rows"][0]["memory_used_bytes"] > 0
    names = {series["name"] for series in lab.client.get(f"/v1/jobs/{job_id}/metrics").json()["series"]}
    assert "memory_used_bytes" in names
    assert not names & {"loss", "accuracy", "images_per_second"}


def test_two_jobs_share_a_card_each_behind_its_own_fence(lab: EmulatedLab) -> None:
    both = [lab.train(gpu_memory_bytes=2 * GIB) for _ in range(2)]
    jobs = [lab.wait_for(job_id, "running", timeout_seconds=100) for job_id in both]
    assert jobs[0]["gpu_uuids"] == jobs[1]["gpu_uuids"]
    for job_id in both:
        wait_until(lambda job_id=job_id: lab.holding(job_id), what="its memory")  # type: ignore[misc]
    used = {gpu["uuid"]: gpu for gpu in lab.client.get("/v1/gpus").json()["items"]}[jobs[0]["gpu_uuids"][0]]
    assert used["memory_reserved_bytes"] == 4 * GIB
    lab.cancel(*both)
    assert all(max(lab.seen(job_id)) < 2 * GIB for job_id in both)


def test_out_of_memory_behind_a_fence_is_answered_with_the_layer_and_edits(lab: EmulatedLab) -> None:
    spec = {"model": "resnet18", "image_size": 224, "batch_size": 64, "optimizer": "sgd"}
    job_id = lab.submit("train-classifier", spec | {"dataset": "digits", "epochs": 1}, gpus=1, gpu_memory_bytes=GIB)
    job = lab.wait_for(job_id, "failed", timeout_seconds=100)
    assert job["cause"] == "out_of_memory"
    failure = job["failure"]
    assert (failure["device"], failure["ended_by"], failure["inside_reservation"]) == ("cuda", "allocator", False)
    assert failure["module"] is not None
    assert any(tensor["kind"] == "activation" for tensor in failure["largest_tensors"])
    assert failure["reserved_bytes"] + card("T4").generation.context_bytes <= GIB
    edits = wait_until(lambda: lab.job(job_id)["failure"]["edits"], timeout_seconds=60, what="edits")
    assert "batch_size" in str(edits)


def test_a_job_whose_card_is_lost_goes_on_from_its_checkpoint_on_the_other(lab: EmulatedLab) -> None:
    job_id = lab.train()
    (lost,) = lab.wait_for(job_id, "running", timeout_seconds=100)["gpu_uuids"]
    wait_until(lambda: lab.recorded("checkpoint"), what="a checkpoint")
    lab.show(lost, fail={"all": GPU_IS_LOST}, lost=LAUNCH_FAILURE, xids=(FELL_OFF_THE_BUS,))
    try:
        again = wait_until(
            lambda: job if (job := lab.job(job_id))["attempt"] == 2 and job["state"] == "running" else None,
            timeout_seconds=60,
            what="a second attempt",
        )
        assert again is not None
        assert again["gpu_uuids"] != [lost]
        wait_until(lambda: lab.recorded("resumed"), what="the checkpoint in use on the other card")
    finally:
        lab.show()
        lab.cancel(job_id)


@pytest.mark.skipif(capability() is not None, reason=f"{capability()}")
def test_verdict_of_a_program_comes_before_its_run_and_is_what_the_run_then_takes(lab: EmulatedLab) -> None:
    sent = lab.client.post("/v1/programs", files=[("files", ("train.py", PROGRAM))]).json()["sha256"]

    def order(steps: int) -> dict[str, Any]:
        spec = {"program": sent, "command": ["python", "train.py", str(steps)]}
        return {"experiment": "script", "spec": spec}

    found = lab.client.post("/v1/estimates?wait=60", json=order(3), timeout=70).json()
    assert found["state"] == "ready", found["reason"]
    (verdict,) = found["gpus"]
    assert (verdict["name"], verdict["verdict"], verdict["certain"]) == ("emulated T4", "fits", False)
    job_id = lab.submit(**order(3), gpus=1)
    assert lab.wait_for(job_id, "succeeded", timeout_seconds=100)["estimate"]["id"] == found["id"]
    took = lab.result(job_id)
    assert took == {"allocated": verdict["peak_allocated_bytes"], "reserved": verdict["peak_reserved_bytes"]}

    none = lab.client.post("/v1/estimates?wait=60", json=order(0), timeout=70).json()
    assert none["state"] == "failed"
    assert "took no optimizer step" in none["reason"]
