"""The machines' room over time: what leases hold until when, and what is promised to jobs that wait."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

NOBODY: frozenset[UUID] = frozenset()


class Stay(NamedTuple):
    """Bytes of one GPU held from `start` to before `end`; null bytes hold the whole of it."""

    start: float
    end: float
    held_bytes: int | None
    lab_hours: frozenset[UUID] = NOBODY
    """Lab hours whose GPUs the job may use."""


class Kept(NamedTuple):
    """One GPU kept for lab hours from `start` to before `end`. Only their jobs may use it, and none starts before."""

    start: float
    end: float
    lab_hours: UUID

    def bars(self, start: float, end: float, lab_hours: frozenset[UUID]) -> bool:
        """Whether a job with these lab hours may not be here for that time."""
        return self.start < end and self.end > start and (start < self.start or self.lab_hours not in lab_hours)


@dataclass(slots=True)
class GpuRoom:
    """One GPU. `stays` are leases, `booked` are starts promised to jobs that wait, `kept` is for lab hours."""

    uuid: str
    total_bytes: int | None
    """Null if the driver does not report it; then every request is assumed to fit."""
    stays: list[Stay] = field(default_factory=list)
    booked: list[Stay] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    model: str = ""
    """What the driver calls the device."""
    constants: Mapping[str, Any] | None = None
    """What its node measured of it, for questions about it."""
    constants_of: str | None = None
    """The software that they hold for."""
    free_bytes: int = field(init=False)
    whole: bool = field(init=False, default=False)
    """Taken as a whole by one job."""

    def __post_init__(self) -> None:
        self.free_bytes = self.total_bytes or 0
        stays, self.stays = self.stays, []
        for stay in stays:
            self.take(stay)

    @property
    def key(self) -> str:
        """Its name in the verdicts of an estimate."""
        return "/".join(filter(None, (self.model, str(self.total_bytes), self.constants_of)))

    def take(self, stay: Stay) -> None:
        """A job is here from now on."""
        self.stays.append(stay)
        self.whole |= stay.held_bytes is None
        self.free_bytes -= (self.total_bytes or 0) if stay.held_bytes is None else stay.held_bytes

    def has_room(self, needed_bytes: int | None) -> bool:
        """Whether a job may start here now as far as leases go; null needs the whole GPU."""
        if needed_bytes is None:
            return not self.stays
        return not self.whole and (self.total_bytes is None or needed_bytes <= self.free_bytes)

    def is_barred(self, start: float, end: float, lab_hours: frozenset[UUID]) -> bool:
        """Whether it is kept from a job with these lab hours for some of that time."""
        return any(kept.bars(start, end, lab_hours) for kept in self.kept)

    def is_kept_for(self, lab_hours: frozenset[UUID], now: float) -> bool:
        return any(kept.start <= now < kept.end and kept.lab_hours in lab_hours for kept in self.kept)

    def fits(self, needed_bytes: int | None, start: float, end: float, lab_hours: frozenset[UUID] = NOBODY) -> bool:
        """Whether so much is free from `start` to `end`, given every stay, every booking and all lab hours."""
        if self.is_barred(start, end, lab_hours):
            return False
        others = [stay for stay in (*self.stays, *self.booked) if stay.start < end and stay.end > start]
        if not others:
            return True
        if needed_bytes is None or any(stay.held_bytes is None for stay in others):
            return False
        if self.total_bytes is None:
            return True
        moments = {start, *(stay.start for stay in others if stay.start > start)}
        return all(_held(others, moment) + needed_bytes <= self.total_bytes for moment in moments)

    def earliest(
        self, needed_bytes: int | None, now: float, seconds: float, lab_hours: frozenset[UUID] = NOBODY
    ) -> float:
        """When this much memory becomes free for this time."""
        if not self.stays and not self.booked and not self.kept:
            return now
        moments = sorted({now, *self.moments(now)})
        return next(each for each in moments if self.fits(needed_bytes, each, each + seconds, lab_hours))

    def moments(self, now: float) -> Iterator[float]:
        """When a job could begin that could not before: something ends here, or lab hours begin."""
        ends = chain((stay.end for stay in (*self.stays, *self.booked)), (kept.end for kept in self.kept))
        return (moment for moment in chain(ends, (kept.start for kept in self.kept)) if moment > now)


@dataclass(slots=True)
class NodeRoom:
    """A node's room; the planner uses it up as it places."""

    name: str
    slots: int
    datasets: frozenset[str]
    draining: bool = False
    refuses: Mapping[str, str] = field(default_factory=dict)
    """Experiments that it cannot run, and why."""
    gpus: list[GpuRoom] = field(default_factory=list)
    lost_gpus: list[str] = field(default_factory=list)
    """GPUs that worked once, and why they do not work now. Until they are repaired or an admin gives them up, the node
    counts as one with GPUs: its jobs do not turn to the CPU by themselves."""
    slot_ends: list[float] = field(default_factory=list)
    """When each job on the CPU side ends at the latest."""

    @property
    def slots_free(self) -> int:
        return self.slots - len(self.slot_ends)


class Start(NamedTuple):
    """Where and when a job could begin."""

    time: float
    node: NodeRoom
    gpus: Sequence[GpuRoom]


def earliest_on_cpu(nodes: Sequence[NodeRoom], now: float) -> Start | None:
    """The first slot to become free; null where no node has slots."""
    starts = (Start(now if n.slots_free > 0 else sorted(n.slot_ends)[-n.slots], n, ()) for n in nodes if n.slots > 0)
    return min(starts, key=attrgetter("time"), default=None)


def earliest_on_gpus(
    nodes: Sequence[NodeRoom],
    count: int,
    needed_bytes: int | None,
    least_bytes: int,
    now: float,
    seconds: float,
    lab_hours: frozenset[UUID] = NOBODY,
) -> Start | None:
    """The first moment at which a node has `count` GPUs of at least that size, free for the whole time."""
    best: Start | None = None
    for node in nodes:
        large = [gpu for gpu in node.gpus if large_enough(gpu, least_bytes)]
        if len(large) < count:
            continue
        found = _earliest_of(large, count, needed_bytes, now, seconds, lab_hours)
        if best is None or found[0] < best.time:
            best = Start(found[0], node, found[1])
    return best


def large_enough(gpu: GpuRoom, least_bytes: int) -> bool:
    """Whether a job that asks for so much could ever be here."""
    return gpu.total_bytes is None or least_bytes <= gpu.total_bytes


def _earliest_of(
    gpus: Sequence[GpuRoom],
    count: int,
    needed_bytes: int | None,
    now: float,
    seconds: float,
    lab_hours: frozenset[UUID],
) -> tuple[float, Sequence[GpuRoom]]:
    each = sorted(((gpu.earliest(needed_bytes, now, seconds, lab_hours), index) for index, gpu in enumerate(gpus)))
    time = each[count - 1][0]
    chosen = [gpus[index] for _, index in each[:count]]
    if count == 1 or all(gpu.fits(needed_bytes, time, time + seconds, lab_hours) for gpu in chosen):
        return time, chosen
    # A GPU that is free early may be promised to a later job: look at every moment at which something changes.
    for moment in sorted({moment for gpu in gpus for moment in gpu.moments(now) if moment >= time}):
        free = [gpu for gpu in gpus if gpu.fits(needed_bytes, moment, moment + seconds, lab_hours)]
        if len(free) >= count:
            return moment, free[:count]
    raise AssertionError("every GPU is free after the last end")


def _held(stays: Sequence[Stay], moment: float) -> int:
    return sum(stay.held_bytes or 0 for stay in stays if stay.start <= moment < stay.end)
