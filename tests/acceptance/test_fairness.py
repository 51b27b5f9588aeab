"""Giving way to the urgent, a killed leader, a worker that no message reaches: nothing is lost or done twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.embedded import EmbeddedRedis
from tests.lab import Lab, wait_until

STEPS = 6
BUSY_SECONDS = 90.0
"""A fork and its first steps on a machine that does much else."""


@pytest.fixture(scope="module")
def one_slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    settings = {"GPULAB_SLOTS": "1", "GPULAB_LEASE_SECONDS": "15", "GPULAB_UNTAKEN_LIMIT": "1"}
    made = Lab(tmp_path_factory.mktemp("one-slot"), settings=settings)
    try:
        yield made.start()
    finally:
        made.stop()


def gated(lab: Lab, gate: Path, **fields: Any) -> str:
    return lab.submit("probe", {"steps": STEPS, "gate": str(gate), "checkpoint_every": 2}, **fields)


def opened(gate: Path, step: int) -> None:
    part = gate.with_suffix(".part")
    part.write_text(str(step))
    part.replace(gate)


def steps(lab: Lab, job_id: str) -> list[int]:
    series = lab.client.get(f"/v1/jobs/{job_id}/metrics", params={"names": "step"}).json()["series"]
    return series[0]["steps"] if series else []


def events(lab: Lab, job_id: str) -> list[str]:
    return [event["type"] for event in lab.client.get(f"/v1/jobs/{job_id}/events").json()["items"]]


def test_low_priority_gives_way_at_its_checkpoint_and_resumes(one_slot: Lab, tmp_path: Path) -> None:
    low_gate, high_gate = tmp_path / "low", tmp_path / "high"
    low = gated(one_slot, low_gate, priority="low")
    opened(low_gate, 3)
    wait_until(lambda: steps(one_slot, low)[-1:] == [3], timeout_seconds=BUSY_SECONDS, what="step 3")
    high = gated(one_slot, high_gate, priority="high")
    one_slot.wait_for(high, "running")
    assert one_slot.job(low)["state"] == "queued"
    opened(low_gate, STEPS)
    opened(high_gate, STEPS)
    one_slot.wait_for(high, "succeeded")
    resumed = one_slot.wait_for(low, "succeeded")
    assert resumed["result"] == {"total": STEPS * (STEPS + 1) // 2, "resumed_from": 2}
    assert steps(one_slot, low) == list(range(1, STEPS + 1))
    told = one_slot.client.get(f"/v1/jobs/{low}/events").json()["items"]
    (asked,) = [event for event in told if event["type"] == "job.yield_requested"]
    assert high in asked["message"]
    assert "gave way" in json.dumps(told)


def test_normal_priority_does_not_take_a_slot_away(one_slot: Lab, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    low = gated(one_slot, gate, priority="low")
    opened(gate, 3)
    wait_until(lambda: steps(one_slot, low)[-1:] == [3], timeout_seconds=BUSY_SECONDS, what="step 3")
    normal = gated(one_slot, gate)
    asking = f"/v1/jobs/{normal}/queue"
    wait_until(lambda: one_slot.client.get(asking).json()["reason"] == "no_free_slot", what="the reason")
    opened(gate, STEPS)
    for job_id in (low, normal):
        one_slot.wait_for(job_id, "succeeded")
    assert "job.yield_requested" not in events(one_slot, low)


def test_standby_takes_over_from_a_killed_leader_and_nothing_is_lost(one_slot: Lab, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    one_slot.spawn("standby", module="scheduler")
    running = gated(one_slot, gate)
    one_slot.wait_for(running, "running")
    waiting = [gated(one_slot, gate) for _ in range(3)]
    one_slot.kill("scheduler")
    later = gated(one_slot, gate)
    opened(gate, STEPS)
    for job_id in (running, *waiting, later):
        job = one_slot.wait_for(job_id, "succeeded")
        assert job["attempt"] == 1
        assert events(one_slot, job_id).count("job.leased") == 1
    one_slot.spawn("scheduler")
    one_slot.kill("standby")
    assert one_slot.wait_for(gated(one_slot, gate), "succeeded")["attempt"] == 1


def test_worker_whom_no_message_reaches_is_set_aside_and_its_jobs_go_elsewhere(one_slot: Lab, tmp_path: Path) -> None:
    """It listens to another Redis than the lab's, while its heartbeats reach the database."""
    node_a = "/v1/nodes/node-a"
    one_slot.client.post(f"{node_a}/drain", json={"reason": "so that the other gets the job"}).raise_for_status()
    with EmbeddedRedis(tmp_path / "elsewhere") as elsewhere:
        own = {"GPULAB_NODE": "deaf", "GPULAB_RUNS_FOLDER": str(tmp_path / "runs"), "REDIS_URL": elsewhere.url}
        one_slot.spawn("deaf", module="worker", settings=own)
        job_id = one_slot.submit("probe", {"steps": STEPS})

        def deaf() -> dict[str, Any]:
            nodes = one_slot.client.get("/v1/nodes").json()["items"]
            return next((node for node in nodes if node["name"] == "deaf"), {})

        wait_until(lambda: deaf().get("fault") == "unresponsive", timeout_seconds=BUSY_SECONDS, what="it is set aside")
        heard = deaf()["heartbeat_at"]
        one_slot.client.post(f"{node_a}/undrain").raise_for_status()
        job = one_slot.wait_for(job_id, "succeeded", timeout_seconds=BUSY_SECONDS)
        wait_until(lambda: deaf()["heartbeat_at"] > heard, what="it is alive all the time")
        one_slot.terminate("deaf")
    assert job["node"] == "node-a"
    assert events(one_slot, job_id).count("job.leased") >= 2
    assert events(one_slot, job_id).count("job.started") == 1
