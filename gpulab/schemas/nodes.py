"""The machines on the wire, and whether the lab is well."""

from datetime import datetime
from typing import Any
from uuid import UUID

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


class TimelineGpuRead(Outgoing):
    """How busy a GPU was, in the cells of the timeline."""

    uuid: str
    node: str
    index: int
    name: str
    utilization_percent: list[int | None]
    """Mean of each cell, null where nothing was read; the last cell is not over."""
    memory_percent: list[int | None]
    """Largest use of each cell, of the GPU's memory."""


class _AnyonesRun(Outgoing):
    own: bool
    """Whether it is a run of who asks."""
    job_id: UUID | None
    """Null for a run of another user, except for staff; so are `name` and `owner`."""
    name: str | None
    """Its name, or its experiment."""
    owner: str | None
    node: str
    gpu_uuids: list[str]
    """Empty on the CPU."""
    start: datetime


class TimelineRunRead(_AnyonesRun):
    """An attempt that held a part of the lab."""

    attempt: int | None
    outcome: str | None
    """The job's state after it, or `lost`; null while it runs, and for a run of another user."""
    end: datetime | None
    """Null while it runs."""


class ExpectedRunRead(_AnyonesRun):
    """A waiting job: `start` is when it starts if every time limit ahead is used up and nothing new comes."""

    time_limit_seconds: int


class TimelineRead(Outgoing):
    """What ran where and when. A cell spans `cell_seconds`, the first one begins at `start`."""

    start: datetime
    cell_seconds: int
    gpus: list[TimelineGpuRead]
    runs: list[TimelineRunRead]
    """Longest first."""
    runs_left_out: int
    """Shorter ones that are not listed."""
    expected: list[ExpectedRunRead]
    """First one first."""


class GpuHistoryRead(Outgoing):
    """What a GPU did, in the cells of the history; null where nothing was read."""

    uuid: str
    index: int
    name: str
    memory_total_bytes: int | None
    utilization_percent: list[int | None]
    """Mean of each cell, as is the power."""
    memory_used_bytes: list[int | None]
    """Largest of each cell, as is the temperature."""
    temperature_celsius: list[int | None]
    power_watts: list[int | None]


class NodeHistoryRead(Outgoing):
    """A cell spans `cell_seconds`, the first one begins at `start`."""

    start: datetime
    cell_seconds: int
    gpus: list[GpuHistoryRead]
