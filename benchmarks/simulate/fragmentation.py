"""Room that is free and of no use, and the choice of GPUs by which it grows least.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent",
USENIX ATC 2023; here with GPU memory for the share of a GPU.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from scheduler.planning.cluster import Ask, Choice, Cluster
from scheduler.planning.room import GpuRoom, NodeRoom
from scheduler.planning.terms import Needs


class Demand(NamedTuple):
    """A kind of job that is asked for, and how large a part of all jobs it is."""

    gpus: int
    needed_bytes: int | None
    part: float


def demands_of(lab: Cluster, jobs: Mapping[Needs, int]) -> list[Demand]:
    """The commonest kinds of need, from the number of jobs that have each."""
    kinds: Counter[tuple[int, int | None]] = Counter()
    for needs, count in jobs.items():
        ask = lab.ask(needs)
        if ask.count:
            kinds[ask.count, ask.needed_bytes] += count
    every = kinds.total()
    return [Demand(gpus, needed, count / every) for (gpus, needed), count in kinds.most_common(20)]


def gradient_fit(demands: Sequence[Demand], choices: Sequence[Choice], ask: Ask) -> Choice:
    """Where fragmentation grows least: room that the demands, weighed by how common they are, cannot use."""

    def candidates() -> Iterable[Choice]:
        for node, gpus in choices:
            if ask.count > 1:
                yield node, gpus[: ask.count]
            else:
                yield from ((node, [gpu]) for gpu in gpus)

    def growth(choice: Choice) -> float:
        node, gpus = choice
        return _fragmentation(node, demands, taking(gpus, ask.needed_bytes)) - _fragmentation(node, demands, _as_it_is)

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
