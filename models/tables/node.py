"""The machines, as they describe themselves."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, LargeBinary, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class Node(Base):
    __tablename__ = "nodes"
    __table_args__ = (CheckConstraint("slots >= 0", name="slots_not_negative"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    slots: Mapped[int]
    """Jobs that may run at once without a GPU."""
    draining: Mapped[bool] = mapped_column(server_default=text("false"))
    reason: Mapped[str | None]
    """Why it is draining."""
    datasets: Mapped[list[str]]
    skipped_datasets: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """What it could not read of its folder of data sets, and why."""
    versions: Mapped[dict[str, Any]]
    gpu_reason: Mapped[str | None]
    refused_experiments: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Experiments that it cannot run, and why: those of students' own code, where it has no sandbox."""
    environment: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """What a program finds there: `python`, its version, and `packages`, versions by name."""
    folders: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """What its folders take: by name, `size_bytes` and `free_bytes`."""
    worker_id: Mapped[str | None]
    """The worker that serves it, as `HOST:FOLDER#DIGEST`; another one takes over only from one that is silent."""
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.now())
    stopped_at: Mapped[datetime | None]
    """Set when the worker left on purpose."""
    clock_skew_seconds: Mapped[float | None]
    """The node's clock less the database's, at the last heartbeat."""
    reconnects: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)), server_default=text("'{}'"))
    """When it came back without having left, the newest few."""
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("node_tokens.id"))
    """The token it presented when it joined."""
    fault: Mapped[str | None]
    """Why it is set aside, a `gpulab.states.NodeFault`; null while it is trusted."""
    fault_message: Mapped[str | None]
    fault_at: Mapped[datetime | None]
    """Since when."""
    fault_until: Mapped[datetime | None]
    """When it comes back unless the fault is seen again; null beside a fault waits for an admin."""
    untaken_leases: Mapped[int] = mapped_column(server_default=text("0"))
    """Leases in a row that expired here without being taken up, each granted after the one before was given up."""
    untaken_at: Mapped[datetime | None]
    """When the newest of them was given up."""
    cleared_at: Mapped[datetime | None]
    """When an admin last took it back into service; what was seen before counts no more."""
    removed_at: Mapped[datetime | None]
    """When an admin took it off the list of machines; its worker's next start puts it back."""


class Gpu(Base):
    __tablename__ = "gpus"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(ForeignKey("nodes.name"), index=True)
    index: Mapped[int]
    name: Mapped[str]
    memory_total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    healthy: Mapped[bool]
    reason: Mapped[str | None]
    latest: Mapped[dict[str, Any]]
    seen_at: Mapped[datetime | None]
    """The heartbeat of its node that last listed it."""
    known_total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Its memory as first reported, or as an admin accepted it."""
    gone_at: Mapped[datetime | None]
    """When it stopped being a part of its node: reconfigured, or forgotten by an admin. The row keeps its name for old
    runs. Null again as soon as it works.
    """
    unhealthy_at: Mapped[datetime | None]
    """When it stopped being healthy; null also for one that never was."""
    xid: Mapped[int | None]
    """The newest Xid of the driver that is no application's doing."""
    xid_at: Mapped[datetime | None]
    contested_by: Mapped[str | None]
    """Another live node that reports the same UUID."""
    contested_at: Mapped[datetime | None]
    constants: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What a process takes of it besides tensors, an `gpulab.schemas.memory.Constants`; null: not measured."""
    constants_of: Mapped[str | None]
    """The driver, CUDA version and torch that `constants` hold for."""
    constants_reason: Mapped[str | None]
    """Why there are none."""


GPU_KEY = func.concat_ws("/", Gpu.name, Gpu.memory_total_bytes, Gpu.constants_of)
"""By which an estimate's verdicts name a GPU, as `GpuAsked.key` does."""


class GpuMinute(Base):
    """What a GPU did in one minute, from the heartbeats of its node."""

    __tablename__ = "gpu_minutes"

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    gpu_uuid: Mapped[str] = mapped_column(primary_key=True)
    """No reference: the history of a GPU outlives the GPU."""
    node: Mapped[str]
    readings: Mapped[int]
    utilization_percent: Mapped[float | None]
    """Mean of the readings, as is `power_watts`; memory and temperature are the largest."""
    power_watts: Mapped[float | None]
    memory_used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    temperature_celsius: Mapped[float | None]


class NodeEvent(Base):
    """What happened to a node, for users."""

    __tablename__ = "node_events"
    __table_args__ = (Index("ix_node_events_node_id", "node", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    node: Mapped[str]
    """A name and no reference: an event may be about a node that never joined."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    type: Mapped[str]
    actor: Mapped[str]
    """`user:<name>`, `scheduler`, `node:<name>`."""
    message: Mapped[str]


class NodeToken(Base):
    """What admits a node to the lab; only its SHA-256 is kept."""

    __tablename__ = "node_tokens"
    __table_args__ = (Index("ix_node_tokens_node", "node"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    node: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[str]
    revoked_at: Mapped[datetime | None]
