"""The machines on the wire."""

from datetime import datetime
from typing import Any

from gpulab.schemas.base import Incoming, Line, Outgoing


class GpuRead(Outgoing):
    uuid: str
    node: str
    index: int
    name: str
    memory_total_bytes: int | None
    memory_reserved_bytes: int
    """Sum of the live leases."""
    latest: dict[str, Any]
    """Newest reading: used bytes, utilisation, power, temperature; nulls with reasons."""
    healthy: bool
    reason: str | None


class NodeRead(Outgoing):
    name: str
    state: str
    """`up`, `draining` or `down`."""
    reason: str | None
    slots: int
    """Jobs that may run at once on the CPU side."""
    slots_used: int
    datasets: list[str]
    versions: dict[str, str]
    gpus: list[GpuRead]
    gpu_reason: str | None
    """Why there are no GPUs, where there are none."""
    heartbeat_at: datetime


class NodePage(Outgoing):
    items: list[NodeRead]


class GpuPage(Outgoing):
    items: list[GpuRead]


class DrainOrder(Incoming):
    """No further job starts on the node; those that run go on."""

    reason: Line | None = None
    """Why, for people who wonder."""
