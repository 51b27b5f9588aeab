"""One attempt of a job on this node: what was claimed, and what it has been told."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from worker.sampler import Breach


class Order(StrEnum):
    """Why a running job is told to end, the strongest last."""

    LEAVE = "leave"
    """The worker is stopping: checkpoint, another attempt follows."""
    YIELD = "yield"
    """A more urgent job needs the room: checkpoint, another attempt follows."""
    IDLE = "idle"
    """It holds GPUs and does not use them."""
    TIME_LIMIT = "time_limit"
    CANCEL = "cancel"
    BREACH = "breach"
    """It holds more GPU memory than it reserved."""
    REVOKED = "revoked"
    """The lease is gone: end at once, say nothing."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a run needs, as the claim returned it."""

    job_id: UUID
    token: UUID
    attempt: int
    experiment: str
    spec: dict[str, Any]
    seed: int
    device: str
    time_limit_seconds: int
    gpu_uuids: list[str]
    reserved_bytes: int | None


class Attempt:
    """One running attempt. `order` may be called from any thread; everything else belongs to the supervising one."""

    def __init__(self, claimed: Claimed, folder: Path) -> None:
        self.claimed = claimed
        self.folder = folder
        self.breach: Breach | None = None
        """What the watchdog saw, where it ordered the end."""
        self._orders: set[Order] = set()

    def order(self, order: Order) -> None:
        self._orders.add(order)

    @property
    def strongest(self) -> Order | None:
        return max(self._orders, key=list(Order).index, default=None)
