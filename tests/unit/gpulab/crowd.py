"""A lab with something to see: nodes, GPUs, jobs that run and jobs that wait."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.gpulab.stub_lab import NODE, StubLab

GIB = 2**30


def gpu(index: int, *, used_gib: float | None = 1.0, reserved_gib: float = 0.0, **facts: Any) -> dict[str, Any]:
    latest = {
        "device_used_bytes": None if used_gib is None else round(used_gib * GIB),
        "utilization_percent": facts.pop("load", 37),
        "power_watts": facts.pop("power", 250.0),
        "temperature_celsius": facts.pop("temperature", 41),
    }
    usual = {
        "uuid": f"GPU-{index}",
        "node": "gpu-a",
        "index": index,
        "name": "Test Accelerator 80GB",
        "memory_total_bytes": 80 * GIB,
        "memory_reserved_bytes": round(reserved_gib * GIB),
        "latest": latest,
        "healthy": True,
        "reason": None,
    }
    return usual | facts


def node(name: str, *gpus: dict[str, Any], silent_seconds: float = 0, **facts: Any) -> dict[str, Any]:
    heard = datetime.now(UTC) - timedelta(seconds=silent_seconds)
    return {**NODE, "name": name, "gpus": list(gpus), "heartbeat_at": heard.isoformat(), **facts}


def fill(stub: StubLab, *, waiting: int = 3) -> None:
    """One node of four GPUs with three jobs on them, one node without that is down, and a queue."""
    now = datetime.now(UTC)
    stub.nodes = [
        node("cpu-b", gpu_reason="no driver here", state="down", silent_seconds=200),
        node(
            "gpu-a",
            gpu(0, used_gib=12, reserved_gib=60),
            gpu(1, used_gib=79, reserved_gib=80, load=100, temperature=91),
            gpu(2, used_gib=0.4, load=0),
            gpu(3, used_gib=None, load=None, power=None, temperature=None, healthy=False, reason="GPU is lost"),
        ),
    ]
    on_first = {"state": "running", "node": "gpu-a", "gpu_uuids": ["GPU-0"], "gpu_memory_bytes": 30 * GIB}
    running = {"fraction": 0.42, "message": "epoch 3"}
    stub.add(**on_first, started_at=now - timedelta(minutes=3), experiment="train", name="first", progress=running)
    stub.add(**on_first, started_at=now - timedelta(minutes=1), experiment="train", owner="grace")
    stub.add(state="running", node="gpu-a", gpu_uuids=["GPU-1"], started_at=now, experiment="batch-size", owner="alan")
    stub.add(state="leased", node="gpu-a", submitted_at=now, experiment="on-cpu")
    for place in range(waiting, 0, -1):
        job = stub.add(submitted_at=now, experiment=f"waits-{place}")
        stub.places[job.id] = place
