"""The planner: a pure function from the queue and the machines to placements and reasons.

Order: priority class, then age. Placement on GPUs is best fit on reserved bytes; a job that does not say how much it
needs, or that measures the device, takes the whole of each of its GPUs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from operator import attrgetter
from uuid import UUID

from gpulab.states import Priority


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job, as far as placing it matters."""

    id: UUID
    owner_id: UUID
    priority: Priority
    gpus: int | None
    """GPUs asked for; null takes one where the lab has any, the CPU otherwise."""
    gpu_memory_bytes: int | None
    exclusive: bool
    datasets: frozenset[str]
    time_limit_seconds: int
    submitted_at: datetime


@dataclass(slots=True)
class GpuRoom:
    uuid: str
    total_bytes: int | None
    reserved_bytes: int = 0
    leases: int = 0
    whole: bool = False
    """Taken as a whole by one job."""

    def fits(self, needed_bytes: int | None) -> bool:
        """Whether a job may come here; null needs the whole GPU."""
        if self.whole or (needed_bytes is None and self.leases):
            return False
        return needed_bytes is None or self.total_bytes is None or needed_bytes <= self.free_bytes

    @property
    def free_bytes(self) -> int:
        return (self.total_bytes or 0) - self.reserved_bytes


@dataclass(slots=True)
class NodeRoom:
    """A node's free room; the planner uses it up as it places."""

    name: str
    slots_free: int
    datasets: frozenset[str]
    draining: bool = False
    gpus: list[GpuRoom] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Placement:
    job_id: UUID
    node: str
    gpu_uuids: tuple[str, ...]
    reserved_bytes: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a job stays in the queue: a stable slug and the words for people."""

    reason: str
    message: str


Needs = tuple[int | None, int | None, bool, frozenset[str]]
"""All that decides where a job may go."""


@dataclass(frozen=True, slots=True)
class Plan:
    placements: tuple[Placement, ...]
    waits: Mapping[UUID, Wait]


def plan(jobs: Iterable[Waiting], nodes: Sequence[NodeRoom]) -> Plan:
    """Place what fits, in order, and say of the rest why it waits. Uses up the room in `nodes`.

    Room only shrinks meanwhile, so where one job did not fit, no later one that asks for the same is tried: a long
    queue costs a look-up a job.
    """
    usable = [node for node in nodes if not node.draining]
    placements: list[Placement] = []
    waits: dict[UUID, Wait] = {}
    waits_of_needs: dict[Needs, Wait] = {}
    for job in _in_order(jobs):
        needs = (job.gpus, job.gpu_memory_bytes, job.exclusive, job.datasets)
        known = waits_of_needs.get(needs)
        if known is not None:
            waits[job.id] = known
            continue
        found = _place(job, usable)
        if isinstance(found, Wait):
            waits[job.id] = waits_of_needs[needs] = found
        else:
            placements.append(found)
    return Plan(tuple(placements), waits)


def _in_order(jobs: Iterable[Waiting]) -> Iterable[Waiting]:
    classes: dict[Priority, list[Waiting]] = {priority: [] for priority in Priority}
    for job in jobs:
        classes[job.priority].append(job)
    for each in classes.values():
        # Two sorts: one by pairs would leave the garbage collector a hundred thousand pairs to look through.
        each.sort(key=attrgetter("id.int"))
        each.sort(key=attrgetter("submitted_at"))
    return chain.from_iterable(classes.values())


def _place(job: Waiting, usable: Sequence[NodeRoom]) -> Placement | Wait:
    if not usable:
        return Wait("no_node", "no node of the lab is up and taking jobs")
    equipped = [node for node in usable if job.datasets <= node.datasets]
    if not equipped:
        names = ", ".join(sorted(job.datasets - frozenset().union(*(node.datasets for node in usable))))
        missing = f"no node has the data set {names}" if names else "no single node has all its data sets"
        return Wait("dataset_missing", missing)
    count = job.gpus if job.gpus is not None else int(any(node.gpus for node in equipped))
    return _on_cpu(job, equipped) if count == 0 else _on_gpus(job, count, equipped)


def _on_cpu(job: Waiting, nodes: Sequence[NodeRoom]) -> Placement | Wait:
    node = max(nodes, key=lambda candidate: candidate.slots_free)
    if node.slots_free <= 0:
        return Wait("no_free_slot", "every CPU slot is taken; it starts when a job ahead of it ends")
    node.slots_free -= 1
    return Placement(job.id, node.name, (), None)


def _on_gpus(job: Waiting, count: int, nodes: Sequence[NodeRoom]) -> Placement | Wait:
    if max(len(node.gpus) for node in nodes) < count:
        return Wait("no_gpu", f"it asks for {count} GPU(s) and no node that could run it has as many")
    needed = None if job.exclusive else job.gpu_memory_bytes
    capable = [
        n for n in nodes if sum(g.total_bytes is None or (needed or 0) <= g.total_bytes for g in n.gpus) >= count
    ]
    if not capable:
        return Wait("cannot_fit", f"it asks for {needed} bytes a GPU and no GPU of the lab is that large")
    fitting = [(node, [gpu for gpu in node.gpus if gpu.fits(needed)]) for node in capable]
    choices = [(node, sorted(gpus, key=attrgetter("free_bytes"))) for node, gpus in fitting if len(gpus) >= count]
    if not choices:
        return Wait("no_free_gpu", "every GPU that could run it is taken; it starts when a job ahead of it ends")
    # Best fit: the tightest GPUs of the node where they are tightest.
    node, gpus = min(choices, key=lambda choice: sum(gpu.free_bytes for gpu in choice[1][:count]))
    for gpu in gpus[:count]:
        gpu.leases += 1
        gpu.whole = needed is None
        gpu.reserved_bytes += needed or (gpu.total_bytes or 0)
    return Placement(job.id, node.name, tuple(gpu.uuid for gpu in gpus[:count]), needed)
