"""Which GPUs to take when several would do: tightest, or least growth of fragmentation, or the first."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from scheduler.planning.room import GpuRoom, NodeRoom

Choice = tuple[NodeRoom, Sequence[GpuRoom]]


class Demand(NamedTuple):
    """A kind of job that is asked for, and how large a part of all jobs it is."""

    gpus: int
    needed_bytes: int | None
    part: float


def best_fit(choices: Iterable[Choice], count: int) -> Choice:
    """The tightest GPUs of the node where they are tightest; among equals the node with least room."""

    def looseness(choice: Choice) -> tuple[int, int]:
        node, gpus = choice
        return sum(gpu.free_bytes for gpu in gpus), sum(gpu.free_bytes for gpu in node.gpus)

    ordered = ((node, sorted(gpus, key=attrgetter("free_bytes"))[:count]) for node, gpus in choices)
    return min(ordered, key=looseness)


def first_fit(choices: Iterable[Choice], count: int) -> Choice:
    node, gpus = next(iter(choices))
    return node, gpus[:count]


def gradient_fit(choices: Iterable[Choice], count: int, needed_bytes: int | None, demands: Sequence[Demand]) -> Choice:
    """Where fragmentation grows least: room that the demands, weighed by how common they are, cannot use.

    Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
    Descent", USENIX ATC 2023; here with GPU memory for the share of a GPU.
    """

    def candidates() -> Iterable[Choice]:
        for node, gpus in choices:
            if count > 1:
                yield node, gpus[:count]
            else:
                yield from ((node, [gpu]) for gpu in gpus)

    def growth(choice: Choice) -> float:
        node, gpus = choice
        return _fragmentation(node, demands, taking(gpus, needed_bytes)) - _fragmentation(node, demands, _as_it_is)

    return min(candidates(), key=growth)


def taking(gpus: Sequence[GpuRoom], needed_bytes: int | None) -> Callable[[GpuRoom], int]:
    """Free bytes of each GPU of a node after a job has come to `gpus`."""
    return lambda gpu: (
        _as_it_is(gpu) if gpu not in gpus else 0 if needed_bytes is None else gpu.free_bytes - needed_bytes
    )


def fragmentation(nodes: Iterable[NodeRoom], demands: Sequence[Demand]) -> float:
    """Bytes that are free and that the demands on average cannot use."""
    return sum(_fragmentation(node, demands, _as_it_is) for node in nodes)


def _fragmentation(node: NodeRoom, demands: Sequence[Demand], free: Callable[[GpuRoom], int]) -> float:
    rooms = [(gpu, free(gpu)) for gpu in node.gpus]
    every = sum(room for _, room in rooms)
    lost = 0.0
    for demand in demands:
        usable = [room for gpu, room in rooms if room >= (demand.needed_bytes or gpu.total_bytes or 0) and room > 0]
        lost += demand.part * (every if len(usable) < demand.gpus else every - sum(usable))
    return lost


def _as_it_is(gpu: GpuRoom) -> int:
    return 0 if gpu.whole else gpu.free_bytes
