"""A lab that believes it has GPUs: leases, packing, samples and the watchdog, through pynvml's real path."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.nvml import GIB, FakeGpu, FakeNvml, build_library
from tests.lab import Lab, wait_until

NVML_ERROR_GPU_IS_LOST = 15
IDLE_SECONDS = 1.0


class GpuLab(Lab):
    """A lab on a machine of two fake GPUs of 80 GiB."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.world = FakeNvml(folder, build_library(folder))
        super().__init__(folder, settings={**self.world.env, **settings})
        self.show(GIB)

    def show(self, used_bytes: int | None, *, broken: bool = False, utilization: int = 37) -> None:
        """Each job uses `used_bytes` on the first GPU; the second may be lost. Both report this utilisation in %."""
        fail = {"all": NVML_ERROR_GPU_IS_LOST} if broken else {}
        self.world.write(
            FakeGpu("GPU-1", processes={"*": used_bytes}, utilization=utilization),
            FakeGpu("GPU-2", fail=fail, utilization=utilization),
        )

    def gated(self, gate: Path, **fields: Any) -> str:
        return self.submit("probe-gpu", {"steps": 1, "gate": str(gate)}, **fields)


@pytest.fixture(scope="module")
def gpu_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuLab]:
    made = GpuLab(tmp_path_factory.mktemp("gpulab"), GPULAB_IDLE_MINUTES=str(IDLE_SECONDS / 60))
    try:
        made.start()
        wait_until(lambda: len(made.client.get("/v1/gpus").json()["items"]) == 2, what="two GPUs")
        yield made
    finally:
        made.stop()


def test_job_sees_the_gpu_it_leased_and_is_sampled_on_it(gpu_lab: GpuLab, tmp_path: Path) -> None:
    job_id = gpu_lab.gated(tmp_path / "gate")
    job = gpu_lab.wait_for(job_id, "running")
    assert job["device"] == "cuda"
    (uuid,) = job["gpu_uuids"]

    def tracks() -> dict[str, Any]:
        answer = gpu_lab.client.get(f"/v1/jobs/{job_id}/samples").json()
        return {track["source"]: track for track in answer["tracks"]}

    found = wait_until(lambda: seen if {"gpu", "host"} <= (seen := tracks()).keys() else None, what="both tracks")
    assert found is not None
    assert found["gpu"]["gpu_uuid"] == uuid
    assert found["gpu"]["values"]["power_watts"][0] == 250.0
    assert abs(found["gpu"]["times"][0] - found["host"]["times"][0]) < 1.0
    assert found["host"]["values"]["rss_bytes"][0] > 0
    log = wait_until(lambda: gpu_lab.client.get(f"/v1/jobs/{job_id}/logs").json()["text"], what="its output")
    assert f"[{uuid}]" in log
    (tmp_path / "gate").write_text("1")
    gpu_lab.wait_for(job_id, "succeeded")


def test_worker_logs_lines_that_name_job_attempt_and_node(gpu_lab: GpuLab) -> None:
    job_id = gpu_lab.submit("probe-gpu")
    gpu_lab.wait_for(job_id, "succeeded")

    def told() -> dict[str, Any]:
        lines = [json.loads(line) for line in gpu_lab.log("worker").read_text().splitlines() if line.startswith("{")]
        return {line["event"]: line for line in lines if line.get("job_id") == job_id}

    found = wait_until(lambda: seen if "job.concluded" in (seen := told()) else None, what="the verdict's line")
    assert found is not None
    for event in ("job.started", "job.concluded"):
        assert (found[event]["node"], found[event]["attempt"]) == ("node-a", 1)


def test_job_that_leaves_its_gpu_unused_is_ended_after_notice(gpu_lab: GpuLab, tmp_path: Path) -> None:
    job_id = gpu_lab.gated(tmp_path / "gate")
    gpu_lab.wait_for(job_id, "running")
    gpu_lab.show(GIB, utilization=0)
    try:
        job = gpu_lab.wait_for(job_id, "failed")
    finally:
        gpu_lab.show(GIB)
    assert job["cause"] == "idle"
    events = [event["type"] for event in gpu_lab.client.get(f"/v1/jobs/{job_id}/events").json()["items"]]
    assert events[-2:] == ["job.idle", "job.failed"]


def test_jobs_that_state_their_memory_share_a_gpu_and_the_next_waits(gpu_lab: GpuLab, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    small = [gpu_lab.gated(gate, gpu_memory_bytes=30 * GIB) for _ in range(2)]
    jobs = [gpu_lab.wait_for(job_id, "running") for job_id in small]
    assert jobs[0]["gpu_uuids"] == jobs[1]["gpu_uuids"], "best fit fills one GPU first"
    whole = gpu_lab.gated(gate)
    assert gpu_lab.wait_for(whole, "running")["gpu_uuids"] != jobs[0]["gpu_uuids"]
    waiting = gpu_lab.gated(gate, gpu_memory_bytes=30 * GIB)
    queue = wait_until(
        lambda: a if (a := gpu_lab.client.get(f"/v1/jobs/{waiting}/queue").json())["reason"] == "no_free_gpu" else None,
        what="the reason",
    )
    assert queue is not None
    reserved = {g["uuid"]: g["memory_reserved_bytes"] for g in gpu_lab.client.get("/v1/gpus").json()["items"]}
    assert reserved[jobs[0]["gpu_uuids"][0]] == 60 * GIB
    gate.write_text("1")
    for job_id in (*small, whole, waiting):
        gpu_lab.wait_for(job_id, "succeeded")


def test_job_that_outgrows_its_reservation_is_ended(gpu_lab: GpuLab, tmp_path: Path) -> None:
    gpu_lab.show(3 * GIB)
    job_id = gpu_lab.gated(tmp_path / "gate", gpu_memory_bytes=2 * GIB)
    job = gpu_lab.wait_for(job_id, "failed")
    gpu_lab.show(GIB)
    assert job["cause"] == "out_of_memory"
    assert (
        job["message"]
        == "it used 3.00 GiB of GPU memory and had reserved 2.00 GiB: the lab ended it to protect other jobs"
    )
    assert job["failure"]["ended_by"] == "watchdog"
    assert "nothing was predicted" in job["failure"]["reasons"]["edits"]


def test_constants_of_a_gpu_are_measured_once_and_say_of_which(gpu_lab: GpuLab) -> None:
    for gpu in gpu_lab.client.get("/v1/gpus").json()["items"]:
        assert gpu["constants"]["gpu"] == gpu["name"]
        assert gpu["constants_reason"] is None


def test_job_that_neighbours_left_no_memory_runs_again_alone_and_once(gpu_lab: GpuLab) -> None:
    job_id = gpu_lab.submit("probe-gpu", {"ending": "full_gpu"}, gpu_memory_bytes=10 * GIB)
    job = gpu_lab.wait_for(job_id, "failed")
    assert (job["cause"], job["attempt"], job["exclusive"]) == ("out_of_memory", 2, True)
    events = gpu_lab.client.get(f"/v1/jobs/{job_id}/events").json()["items"]
    assert [event["type"] for event in events].count("job.requeued") == 1
    assert job["failure"]["phase"] == "backward"
    assert job["failure"]["inside_reservation"] is None
    names = {item["name"] for item in gpu_lab.client.get(f"/v1/jobs/{job_id}/artifacts").json()["items"]}
    assert "out-of-memory.json" in names


def test_job_that_ran_out_of_its_own_reservation_is_not_tried_again(gpu_lab: GpuLab) -> None:
    gpu_lab.show(2**20)
    constants = gpu_lab.client.get("/v1/gpus").json()["items"][0]["constants"]
    # The allocator gets what the context and the libraries leave.
    stated = constants["context_bytes"] + constants["libraries_bytes"] + 24 * 2**20
    job_id = gpu_lab.submit("probe-gpu", {"ending": "full_gpu"}, gpu_memory_bytes=stated)
    job = gpu_lab.wait_for(job_id, "failed")
    gpu_lab.show(GIB)
    assert (job["cause"], job["attempt"], job["exclusive"]) == ("out_of_memory", 1, False)
    assert job["failure"]["inside_reservation"] is False
    assert job["failure"]["largest_tensors"][0]["size_bytes"] == 16 * 2**20


def test_xid_sets_the_node_aside_with_the_reason_and_it_comes_back(gpu_lab: GpuLab, tmp_path: Path) -> None:
    running = gpu_lab.gated(tmp_path / "gate")
    gpu_lab.wait_for(running, "running")
    gpu_lab.world.write(FakeGpu("GPU-1", processes={"*": GIB}), FakeGpu("GPU-2", xids=(31, 79)))

    def node() -> dict[str, Any]:
        found: dict[str, Any] = gpu_lab.client.get("/v1/nodes").json()["items"][0]
        return found

    aside = wait_until(lambda: found if (found := node())["state"] == "set_aside" else None, what="set aside")
    assert aside is not None
    assert aside["fault"] == "gpu_xid"
    assert "Xid 79" in aside["reason"]
    assert gpu_lab.job(running)["state"] == "running", "what runs goes on"
    wait_until(lambda: node()["state"] == "up", what="back by itself")
    events = [event["type"] for event in gpu_lab.client.get("/v1/nodes/node-a/events").json()["items"]]
    assert events == ["node.back", "node.set_aside"]
    (tmp_path / "gate").write_text("1")
    gpu_lab.wait_for(running, "succeeded")


def test_lost_gpu_is_named_and_gets_no_work(gpu_lab: GpuLab, tmp_path: Path) -> None:
    gpu_lab.show(GIB, broken=True)

    def sick() -> dict[str, Any] | None:
        gpus = gpu_lab.client.get("/v1/gpus").json()["items"]
        return next((gpu for gpu in gpus if not gpu["healthy"]), None)

    lost = wait_until(sick, what="an unhealthy GPU")
    assert lost is not None
    assert lost["reason"]
    gate = tmp_path / "gate"
    first, second = gpu_lab.gated(gate), gpu_lab.gated(gate)
    gpu_lab.wait_for(first, "running")
    wait_until(
        lambda: gpu_lab.client.get(f"/v1/jobs/{second}/queue").json()["reason"] == "no_free_gpu", what="the reason"
    )
    gate.write_text("1")
    for job_id in (first, second):
        assert gpu_lab.wait_for(job_id, "succeeded")["gpu_uuids"] == ["GPU-1"]
    gpu_lab.show(GIB)
