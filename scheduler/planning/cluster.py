"""The lab as one call of the planner sees it: what each kind of need may use, what it costs, where it goes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from operator import attrgetter

from gpulab.states import WaitReason
from gpulab.words import counted
from scheduler.planning.room import GpuRoom, NodeRoom, Start, Stay, earliest_on_cpu, earliest_on_gpus, large_enough
from scheduler.planning.terms import Needs, Placement, Wait, Waiting

NO_FREE_SLOT = Wait(WaitReason.NO_FREE_SLOT, "all CPU slots are in use; it starts when a job ahead of it ends")
NO_FREE_GPU = Wait(
    WaitReason.NO_FREE_GPU, "all GPUs that could run it are in use; it starts when a job ahead of it ends"
)
RESERVED = Wait(
    WaitReason.RESERVED_FOR_ANOTHER,
    "there is room, but a job ahead of it needs that room before this job's time limit ends",
)
LAB_HOURS = Wait(WaitReason.LAB_HOURS, "there is room, but it is kept for lab hours before this job's time limit ends")
MAX_WORDS = 500
GIB = 2**30


@dataclass(slots=True, eq=False)
class Ask:
    """One kind of need: everything about it that is the same for all jobs that have it."""

    needs: Needs
    count: int
    """GPUs; 0 for the CPU."""
    needed_bytes: int | None
    """To reserve on each; null for the whole of it."""
    least_bytes: int
    """A GPU must be at least so large."""
    share: float
    """Of the lab's capacity, while such a job runs."""
    nodes: Sequence[NodeRoom]
    """Those that have its data sets and as many GPUs."""
    node_ids: frozenset[int]
    never: Wait | None = None
    """Why no machine of the lab could ever run it."""
    hopeless_from: float = inf
    """Time limits from here on were tried in this call and did not fit; room only shrinks meanwhile."""


Choice = tuple[NodeRoom, Sequence[GpuRoom]]
"""A node, and GPUs of it that would do."""
Fit = Callable[[Sequence[Choice], Ask], Choice]
"""Which GPUs to take when several would do: picks a node and exactly as many of its GPUs as are asked for."""


def best_fit(choices: Iterable[Choice], ask: Ask) -> Choice:
    """The tightest GPUs of the node where they are tightest; among equals the node with least room."""

    def looseness(choice: Choice) -> tuple[int, int]:
        node, gpus = choice
        return sum(gpu.free_bytes for gpu in gpus), sum(gpu.free_bytes for gpu in node.gpus)

    ordered = ((node, sorted(gpus, key=attrgetter("free_bytes"))[: ask.count]) for node, gpus in choices)
    return min(ordered, key=looseness)


@dataclass(frozen=True, slots=True)
class _Site:
    """Nodes that have the data sets and the number of GPUs. `largest` is the memory that each of that number has."""

    nodes: Sequence[NodeRoom] = ()
    node_ids: frozenset[int] = frozenset()
    largest: float = 0.0
    never: Wait | None = None


class Cluster:
    """The nodes that take jobs, and their room at `now`. Uses it up."""

    def __init__(self, nodes: Sequence[NodeRoom], now: float, fit: Fit = best_fit) -> None:
        self.now = now
        self._fit = fit
        self._usable = [node for node in nodes if not node.draining]
        sizes = [gpu.total_bytes for node in nodes for gpu in node.gpus if gpu.total_bytes is not None]
        self._gpus = sum(len(node.gpus) for node in nodes)
        self._typical_bytes = sum(sizes) / len(sizes) if sizes else 1.0
        self._slots = sum(node.slots for node in nodes)
        self._sites: dict[tuple[frozenset[str], int | None, str | None], tuple[int, _Site]] = {}
        self._open = [(node, free) for node in self._usable if (free := [gpu for gpu in node.gpus if not gpu.whole])]
        """Where there is room at all: in a busy lab a small part, and the only one worth a look."""

    def ask(self, needs: Needs) -> Ask:
        key = needs.datasets, needs.gpus, needs.experiment
        if key not in self._sites:
            self._sites[key] = self._site(*key)
        count, site = self._sites[key]
        least, never = needs.gpu_memory_bytes or 0, site.never
        if never is None and count and least > site.largest:
            never = _too_large(count, least, site.largest)
        needed = None if needs.exclusive or count == 0 else needs.gpu_memory_bytes
        return Ask(
            needs=needs,
            count=count,
            needed_bytes=needed,
            least_bytes=least,
            share=self._share(count, needed),
            nodes=site.nodes,
            node_ids=site.node_ids,
            never=never,
            hopeless_from=inf if never is None else 0.0,
        )

    def _site(self, datasets: frozenset[str], gpus: int | None, experiment: str | None) -> tuple[int, _Site]:
        """How many GPUs that is, and the nodes that could run it were they empty, or why there is none."""
        willing = [node for node in self._usable if experiment not in node.refuses]
        equipped = [node for node in willing if datasets <= node.datasets]
        count = gpus if gpus is not None else int(any(n.gpus or n.lost_gpus for n in equipped or self._usable))
        if not self._usable:
            return count, _Site(never=Wait(WaitReason.NO_NODE, "no node of the lab is up and accepts jobs"))
        if not willing:
            return count, _Site(never=self._refused(experiment or ""))
        if not equipped:
            return count, _Site(never=self._missing(datasets))
        nodes = [node for node in equipped if len(node.gpus) >= count]
        if not nodes:
            return count, _Site(never=_no_gpu(count, equipped, or_cpu=gpus is None))
        largest = max(sorted(map(_size, node.gpus))[-count] for node in nodes) if count else 0.0
        return count, _Site(nodes, frozenset(map(id, nodes)), largest)

    def place(self, ask: Ask, job: Waiting) -> Placement | Wait:
        """Take the room, if there is any that is not promised to another job."""
        if ask.count == 0:
            return self._place_on_cpu(ask, job)
        until = self.now + job.time_limit_seconds
        choices, obstacle = self._choices(ask, until)
        if not choices:
            return obstacle
        node, gpus = self._fit(self._kept_for(ask, choices) or choices, ask)
        for gpu in gpus:
            gpu.take(Stay(self.now, until, ask.needed_bytes))
        self._forget_full(node)
        return Placement(job.id, node.name, tuple(gpu.uuid for gpu in gpus), ask.needed_bytes, ask.share)

    def book(self, ask: Ask, job: Waiting) -> Start | None:
        """Promise the job the earliest start there is; null where no node of its could ever run it."""
        if ask.count == 0:
            start = earliest_on_cpu(ask.nodes, self.now)
            if start is not None:
                start.node.slot_ends.append(start.time + job.time_limit_seconds)
            return start
        start = earliest_on_gpus(
            ask.nodes,
            ask.count,
            ask.needed_bytes,
            ask.least_bytes,
            self.now,
            job.time_limit_seconds,
            ask.needs.lab_hours,
        )
        if start is not None:
            for gpu in start.gpus:
                gpu.booked.append(Stay(start.time, start.time + job.time_limit_seconds, ask.needed_bytes))
        return start

    def unbook(self, start: Start) -> None:
        """Take the promise back that was made last."""
        for gpu in start.gpus:
            gpu.booked.pop()
        if not start.gpus:
            start.node.slot_ends.pop()

    def obstacle(self, ask: Ask, seconds: float) -> Wait:
        """What stands in the way of a job of this kind now, there being no room for it."""
        if ask.count == 0:
            return NO_FREE_SLOT
        return self._choices(ask, self.now + seconds)[1]

    def fits(self, ask: Ask, seconds: float) -> bool:
        """Whether a job of this kind could start now."""
        if ask.count == 0:
            return any(node.slots_free > 0 for node in ask.nodes)
        return bool(self._choices(ask, self.now + seconds)[0])

    def _place_on_cpu(self, ask: Ask, job: Waiting) -> Placement | Wait:
        node = max(ask.nodes, key=lambda candidate: candidate.slots_free)
        if node.slots_free <= 0:
            return NO_FREE_SLOT
        node.slot_ends.append(self.now + job.time_limit_seconds)
        return Placement(job.id, node.name, (), None, ask.share)

    def _kept_for(self, ask: Ask, choices: Sequence[Choice]) -> list[Choice]:
        """Of the choices, GPUs that are kept for such jobs now: they leave the others to the others."""
        lab_hours = ask.needs.lab_hours
        if not lab_hours:
            return []
        kept = ((node, [gpu for gpu in gpus if gpu.is_kept_for(lab_hours, self.now)]) for node, gpus in choices)
        return [(node, gpus) for node, gpus in kept if len(gpus) >= ask.count]

    def _choices(self, ask: Ask, until: float) -> tuple[list[Choice], Wait]:
        """Nodes with the GPUs that have room until then; and what is in the way where there are none."""
        needed, count, now = ask.needed_bytes, ask.count, self.now
        least, whole, lab_hours = ask.least_bytes, needed is None, ask.needs.lab_hours
        choices: list[Choice] = []
        obstacle = NO_FREE_GPU
        for node, gpus in self._open:
            if id(node) not in ask.node_ids or len(gpus) < count:
                continue
            fitting = [gpu for gpu in gpus if gpu.has_room(needed)]
            if whole and least:
                fitting = [gpu for gpu in fitting if large_enough(gpu, least)]
            if len(fitting) < count:
                continue
            lasting = [
                gpu for gpu in fitting if not (gpu.booked or gpu.kept) or gpu.fits(needed, now, until, lab_hours)
            ]
            if len(lasting) >= count:
                choices.append((node, lasting))
            elif any(gpu.is_barred(now, until, lab_hours) for gpu in fitting):
                obstacle = LAB_HOURS
            elif obstacle is NO_FREE_GPU:
                obstacle = RESERVED
        return choices, obstacle

    def _forget_full(self, taken: NodeRoom) -> None:
        for index, (node, gpus) in enumerate(self._open):
            if node is taken:
                gpus[:] = [gpu for gpu in gpus if not gpu.whole]
                if not gpus:
                    del self._open[index]
                return

    def _share(self, count: int, needed_bytes: int | None) -> float:
        if count == 0:
            return 1 / self._slots if self._slots else 0.0
        part = 1.0 if needed_bytes is None else min(1.0, needed_bytes / self._typical_bytes)
        return count * part / self._gpus if self._gpus else 0.0

    def _refused(self, experiment: str) -> Wait:
        reasons = ", ".join(f"{node.name}: {node.refuses[experiment]}" for node in self._usable)
        return Wait(WaitReason.NO_SANDBOX, f"no node can run {experiment} ({reasons})"[:MAX_WORDS])

    def _missing(self, datasets: frozenset[str]) -> Wait:
        names = ", ".join(sorted(datasets - frozenset().union(*(node.datasets for node in self._usable))))
        missing = f"no node has the data set {names}" if names else "no single node has all its data sets"
        return Wait(WaitReason.DATASET_MISSING, missing)


def _no_gpu(count: int, nodes: Iterable[NodeRoom], *, or_cpu: bool) -> Wait:
    lost = "; ".join(reason for node in nodes for reason in node.lost_gpus)
    if or_cpu:
        words = f"the GPUs that could run it do not work; to run it on the CPU, submit it with 0 GPUs ({lost})"
    else:
        words = f"it requests {counted(count, 'GPU')}, and no node that could run it has that many"
        words += f" that work ({lost})" if lost else ""
    return Wait(WaitReason.NO_GPU, words[:MAX_WORDS])


def _too_large(count: int, needed_bytes: int, largest_bytes: float) -> Wait:
    where = "its GPU" if count == 1 else f"each of {count} GPUs"
    largest = f"the largest that could run it has {largest_bytes / GIB:.1f} GiB"
    return Wait(WaitReason.CANNOT_FIT, f"it requests {needed_bytes / GIB:.1f} GiB on {where}, and {largest}")


def _size(gpu: GpuRoom) -> float:
    return inf if gpu.total_bytes is None else gpu.total_bytes
