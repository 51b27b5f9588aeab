"""One attempt of a job on this node: what was claimed, and why it is stopped."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from worker.measuring.host_memory import HostBreach
from worker.measuring.sampler import Breach
from worker.programs.watch import ProgramBreach
from worker.runs.folder import RunFolder


class StopReason(StrEnum):
    """Why a running job is stopped, the strongest last."""

    LEAVE = "leave"
    """The worker is stopping: checkpoint, another attempt follows."""
    YIELD = "yield"
    """A more urgent job needs the room: checkpoint, another attempt follows."""
    IDLE = "idle"
    """It holds GPUs and does not use them."""
    TIME_LIMIT = "time_limit"
    CANCEL = "cancel"
    BREACH = "breach"
    """It took more than it may: of its GPU, of the machine, or of what a program is allowed."""
    REVOKED = "revoked"
    """The lease is gone: end at once, say nothing."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a run needs, as the claim returned it."""

    job_id: UUID
    lease_token: UUID
    attempt: int
    experiment: str
    spec: dict[str, Any]
    seed: int
    device: str
    time_limit_seconds: int
    gpu_uuids: list[str]
    reserved_bytes: int | None


class Attempt:
    """One running attempt. `stop` may be called from any thread; everything else belongs to the supervising one."""

    def __init__(self, claimed: Claimed, folder: RunFolder) -> None:
        self.claimed = claimed
        self.folder = folder
        self.breach: Breach | HostBreach | ProgramBreach | None = None
        """What the watchdog saw, where it stopped the job."""
        self.deadline = math.inf
        """When its time limit is reached, by the monotonic clock."""
        self.trouble = ""
        """Why its process could not be started yet."""
        self._reasons: set[StopReason] = set()

    def stop(self, reason: StopReason) -> None:
        self._reasons.add(reason)

    def is_asked(self, reason: StopReason) -> bool:
        """Whether this is among the reasons, also where another one is stronger."""
        return reason in self._reasons

    @property
    def stop_reason(self) -> StopReason | None:
        """The strongest; null while it may go on."""
        return max(self._reasons, key=list(StopReason).index, default=None)
