"""What the planner is given and what it answers. Times are seconds of one clock, memory is bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from gpulab.states import Priority, WaitReason


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user may have at most; null is no limit."""

    running: int | None = None
    gpu_hours: float | None = None
    """GPU-hours within the window of the policy."""
    gib_hours: float | None = None
    """Hours times GiB of GPU memory reserved within the window."""


@dataclass(slots=True, eq=False)
class User:
    """Who asks, and what fairness has to know of them. One object a user: it is compared by identity."""

    id: UUID
    weight: float = 1.0
    used_seconds: float = 0.0
    """Decayed use: seconds of the whole lab. What runs now is in it."""
    running: int = 0
    gpu_hours: float = 0.0
    gib_hours: float = 0.0
    limits: Limits = Limits()
    deadline_near: bool = False
    """An assignment is due soon and no run of theirs has succeeded."""


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """All that decides where a job may go. Jobs that ask for the same should share one object: it is tried once."""

    gpus: int | None = None
    """GPUs of one node; null takes one where the lab has any, the CPU otherwise."""
    gpu_memory_bytes: int | None = None
    """On each GPU; null takes whole GPUs."""
    exclusive: bool = False
    datasets: frozenset[str] = frozenset()
    experiment: str | None = None
    """Null for one that every node runs."""
    lab_hours: frozenset[UUID] = frozenset()
    """Lab hours whose GPUs it may use."""


@dataclass(frozen=True, slots=True)
class LabHours:
    """One occurrence of lab hours: GPUs that are kept for some jobs from `start` to before `end`."""

    id: UUID
    """The same for each week."""
    start: float
    end: float
    gpus: int | None
    """Null: all of the node."""
    node: str | None = None
    """Null: of any node."""
    give_back_seconds: float = 900.0
    """After this time of its occurrence, GPUs that nobody of theirs uses or waits for are open to all."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A queued job, as far as placing it matters."""

    id: UUID
    user: User
    needs: Needs
    time_limit_seconds: float
    submitted_time: float
    priority: Priority = Priority.NORMAL
    course_weight: float = 1.0
    """Of its course; multiplies the weight of its user."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers that decide who is next and who may pass. The defaults are what the lab ships."""

    reservations: int = 1
    """Jobs that do not fit and hold a start that later ones must respect."""
    patience_seconds: float = 86_400.0
    """A job gets a reserved start only after this wait: with generous time limits, reservations cost others time."""
    foresight_seconds: float = 1800.0
    """The part of a job's time limit that counts as usage from its start. A queued job counts in the same way for the
    jobs behind it of the same user."""
    half_life_seconds: float = 86_400.0
    """Half-life of usage."""
    deadline_weight: float = 1.5
    """Weight multiplier for users with a near deadline and no successful run."""
    estimates: int = 0
    """Waiting jobs, the first in order, for which a start is estimated."""


@dataclass(frozen=True, slots=True)
class Placement:
    job_id: UUID
    node: str
    gpu_uuids: tuple[str, ...]
    reserved_bytes: int | None
    """On each GPU; null for the whole of it."""
    share: float = 0.0
    """Of the lab's capacity."""


class Site(NamedTuple):
    """A node, and the GPUs of it that a job would get."""

    node: str
    gpu_uuids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a job stays in the queue, with the words for users."""

    reason: WaitReason
    message: str


@dataclass(frozen=True)
class Plan:
    """What `plan` decides. Its reasons are of the room as the plan left it: ask before that changes."""

    placements: Sequence[Placement]
    starts: Mapping[UUID, float]
    """Latest time at which a job would start if nothing new came; of the first in order."""
    jobs: Sequence[Waiting]
    """Every job that was looked at, in order of submission."""
    placed: frozenset[Waiting]
    wait_of: Callable[[Waiting], Wait]
    """The reason of a job that waits."""
    sites: Mapping[UUID, Site] = field(default_factory=dict)
    """Where each of `starts` would be."""

    @cached_property
    def waiting(self) -> Sequence[Waiting]:
        """The jobs that are not placed, in order of submission."""
        return [job for job in self.jobs if job not in self.placed]

    @cached_property
    def waits(self) -> dict[UUID, Wait]:
        """The reason of each job that waits."""
        return {job.id: self.wait_of(job) for job in self.waiting}
