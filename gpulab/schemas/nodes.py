"""The machines on the wire, and whether the lab is well."""

from datetime import datetime
from typing import Any

from pydantic import Field

from gpulab.schemas.base import Incoming, Line, Outgoing
from gpulab.schemas.memory import Constants
from gpulab.states import NodeFault, NodeState


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
    constants: Constants | None = None
    """What predictions for this GPU count with; null where it was not measured, and the documented defaults hold."""
    constants_reason: str | None = None
    """Why it was not."""


class NodeRead(Outgoing):
    name: str
    state: NodeState
    reason: str | None
    """Why it is draining or set aside, in words."""
    fault: NodeFault | None = None
    """Why it is set aside."""
    fault_at: datetime | None = None
    fault_until: datetime | None = None
    """When it comes back unless the fault is seen again; null where an admin has to undrain it."""
    clock_skew_seconds: float | None = None
    """Its clock less the lab's, at the last heartbeat."""
    slots: int
    """Jobs that may run at once on the CPU side."""
    slots_used: int
    datasets: list[str]
    skipped_datasets: dict[str, str] = Field(default_factory=dict)
    """What it could not read of its folder of data sets, and why."""
    versions: dict[str, str]
    gpus: list[GpuRead]
    gpu_reason: str | None
    """Why there are no GPUs, where there are none."""
    refused_experiments: dict[str, str] = Field(default_factory=dict)
    """Experiments that it cannot run, and why: those of users' own code, where it has no sandbox."""
    heartbeat_at: datetime


class NodePage(Outgoing):
    items: list[NodeRead]


class GpuPage(Outgoing):
    items: list[GpuRead]


class NodeEventRead(Outgoing):
    """What happened to a node."""

    id: int
    at: datetime
    type: str
    actor: str
    """`user:<name>` or `scheduler`."""
    message: str


class NodeEventPage(Outgoing):
    items: list[NodeEventRead]
    """Newest first, the last hundred."""


class NodeTokenRead(Outgoing):
    """A token that admits a node. It is shown this once."""

    node: str
    token: str
    created_at: datetime


class RevokedRead(Outgoing):
    node: str
    revoked: int
    """How many tokens of the node stopped working."""


class DrainOrder(Incoming):
    """No further job starts on the node; those that run go on."""

    reason: Line | None = None
    """Why, for users who wonder."""


class HealthRead(Outgoing):
    status: str
    """`ok`."""


class ReadyRead(Outgoing):
    status: str
    """`ready`."""
    checks: dict[str, str]
    """Each part and what was found."""
