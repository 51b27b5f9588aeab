"""Preemption: running `low` jobs that can resume give way if that lets a `high` job start."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from gpulab.states import Priority
from scheduler.planning.cluster import NO_FREE_GPU, NO_FREE_SLOT, Ask, Cluster
from scheduler.planning.room import NOBODY, GpuRoom, NodeRoom, large_enough
from scheduler.planning.terms import Needs, Plan, Waiting

BUSY = {NO_FREE_GPU.reason, NO_FREE_SLOT.reason}


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt under way that could give way."""

    lease_token: UUID
    node: str
    gpu_uuids: tuple[str, ...]
    reserved_bytes: int | None
    held_seconds: float
    yielding: bool
    """It was asked already; its room is about to be free."""
    is_low: bool = True
    """Of the class `low`."""
    lab_hours: frozenset[UUID] = NOBODY
    """Lab hours whose GPUs it may use."""


def giving_way(
    made: Plan, running: Sequence[Running], rooms: Sequence[NodeRoom], *, now: float
) -> tuple[Waiting, list[Running]] | None:
    """The first urgent job that waits for room, and those to be asked so that it can start; None where nothing helps.

    `rooms` are as `plan` left them. As few as possible are asked, and of those the ones that lose least.
    """
    running = [each for each in running if each.is_low]
    if not running:
        return None
    oldest: dict[Needs, Waiting] = {}
    for job in made.waiting:
        if job.priority is Priority.HIGH and job.needs not in oldest and made.wait_of(job).reason in BUSY:
            oldest[job.needs] = job
    cluster = Cluster(rooms, now)
    for job in oldest.values():
        ask = cluster.ask(job.needs)
        until = now + job.time_limit_seconds
        choices = [chosen for node in ask.nodes if (chosen := _of_node(ask, node, running, now, until)) is not None]
        if choices:
            fewest = min(choices, key=_loss)
            return (job, fewest) if fewest else None  # no more jobs to stop: the room is about to be free
    return None


def _loss(chosen: Sequence[Running]) -> tuple[int, float]:
    return len(chosen), sum(each.held_seconds for each in chosen)


def _of_node(ask: Ask, node: NodeRoom, running: Iterable[Running], now: float, until: float) -> list[Running] | None:
    """The runs to stop on this node, besides those that were asked before."""
    here = sorted((each for each in running if each.node == node.name), key=lambda each: each.held_seconds)
    gone = [each for each in here if each.yielding]
    if ask.count == 0:
        return _for_a_slot(node, here, gone)
    chosen = list(gone)
    fitting = 0
    large = [
        gpu
        for gpu in node.gpus
        if large_enough(gpu, ask.least_bytes) and not gpu.is_barred(now, until, ask.needs.lab_hours)
    ]
    singly = [(more, gpu) for gpu in large if (more := _for_gpu(gpu, ask.needed_bytes, here, gone)) is not None]
    # The GPUs that cost least first; each is looked at again with those gone who went for another.
    for _, gpu in sorted(singly, key=lambda each: _loss(each[0])):
        more = _for_gpu(gpu, ask.needed_bytes, here, chosen)
        if more is not None:
            chosen += more
            fitting += 1
        if fitting == ask.count:
            return [each for each in chosen if not each.yielding]
    return None


def _for_a_slot(node: NodeRoom, here: Sequence[Running], gone: Sequence[Running]) -> list[Running] | None:
    if node.slots_free + sum(not each.gpu_uuids for each in gone) > 0:
        return []
    return next(([each] for each in here if not each.gpu_uuids), None)


def _for_gpu(
    gpu: GpuRoom, needed_bytes: int | None, here: Sequence[Running], gone: Sequence[Running]
) -> list[Running] | None:
    more: list[Running] = []
    for each in (None, *(each for each in here if gpu.uuid in each.gpu_uuids and each not in gone)):
        if each is not None:
            more.append(each)
        if _fits_without(gpu, needed_bytes, [*gone, *more]):
            return more
    return None


def _fits_without(gpu: GpuRoom, needed_bytes: int | None, gone: Iterable[Running]) -> bool:
    left = [each.reserved_bytes for each in gone if gpu.uuid in each.gpu_uuids]
    if needed_bytes is None or gpu.whole:
        return len(gpu.stays) == len(left)
    return gpu.total_bytes is None or needed_bytes <= gpu.free_bytes + sum(held or 0 for held in left)
