"""The machines, as they describe themselves."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Node(Base):
    __tablename__ = "nodes"
    __table_args__ = (CheckConstraint("slots >= 0", name="slots_not_negative"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    slots: Mapped[int]
    """Jobs that may run at once without a GPU."""
    draining: Mapped[bool] = mapped_column(server_default=text("false"))
    reason: Mapped[str | None]
    """Why it is draining or set aside."""
    datasets: Mapped[list[str]]
    versions: Mapped[dict[str, Any]]
    gpu_reason: Mapped[str | None]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.now())
    stopped_at: Mapped[datetime | None]
    """Set when the worker left on purpose."""


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
