"""The lab as one call of the planner sees it: what each kind of need may use, what it costs, where it goes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from scheduler.fit import Choice, Demand, best_fit, first_fit, gradient_fit
from scheduler.room import GpuRoom, NodeRoom, Start, Stay, earliest_on_cpu, earliest_on_gpus
from scheduler.terms import Needs, Placement, Policy, Wait, Waiting

NO_FREE_SLOT = Wait("no_free_slot", "every CPU slot is taken; it starts when a job ahead of it ends")
NO_FREE_GPU = Wait("no_free_gpu", "every GPU that could run it is taken; it starts when a job ahead of it ends")
RESERVED = Wait(
    "reserved_for_another", "there is room, but a job ahead of it needs it before this one's time limit would end"
)
BLOCKED = Wait("behind_another", "the job ahead of it waits, and nothing may pass")


@dataclass(slots=True, eq=False)
class Ask:
    """One kind of need: everything about it that is the same for all jobs that have it."""

    needs: Needs
    count: int
    """GPUs; 0 for the CPU."""
    needed_bytes: int | None
    share: float
    """Of the lab's capacity, while such a job runs."""
    nodes: Sequence[NodeRoom]
    """Those that could run it were they empty."""
    node_ids: frozenset[int]
    never: Wait | None = None
    """Why no machine of the lab could ever run it."""
    hopeless_from: float = inf
    """Time limits from here on were tried in this call and did not fit; room only shrinks meanwhile."""
    waiting: list[Waiting] = field(default_factory=list)


class Lab:
    """The nodes that take jobs, and their room at `now`. Uses it up."""

    def __init__(self, nodes: Sequence[NodeRoom], now: float, policy: Policy) -> None:
        self.now = now
        self.demands: Sequence[Demand] = ()
        self._policy = policy
        self._usable = [node for node in nodes if not node.draining]
        sizes = [gpu.total_bytes for node in nodes for gpu in node.gpus if gpu.total_bytes is not None]
        self._gpus = sum(len(node.gpus) for node in nodes)
        self._typical_bytes = sum(sizes) / len(sizes) if sizes else 1.0
        self._slots = sum(node.slots for node in nodes)
        self._equipped: dict[frozenset[str], list[NodeRoom]] = {}
        self._sizes = {id(node): sorted((_size(gpu) for gpu in node.gpus), reverse=True) for node in self._usable}
        self._open = [(node, free) for node in self._usable if (free := [gpu for gpu in node.gpus if not gpu.whole])]
        """Where there is room at all: in a busy lab a small part, and the only one worth a look."""

    def ask(self, needs: Needs) -> Ask:
        equipped = self._with(needs.datasets)
        count = needs.gpus if needs.gpus is not None else int(any(node.gpus for node in equipped or self._usable))
        needed = None if needs.exclusive or count == 0 else needs.gpu_memory_bytes
        share = self._share(count, needed)
        nodes, never = self._able(needs, equipped, count, needed)
        return Ask(needs, count, needed, share, nodes, frozenset(map(id, nodes)), never)

    def _with(self, datasets: frozenset[str]) -> list[NodeRoom]:
        found = self._equipped.get(datasets)
        if found is None:
            found = self._equipped[datasets] = [node for node in self._usable if datasets <= node.datasets]
        return found

    def _able(
        self, needs: Needs, equipped: list[NodeRoom], count: int, needed: int | None
    ) -> tuple[Sequence[NodeRoom], Wait | None]:
        """The nodes that could run it were they empty, or why there is none."""
        if not self._usable:
            return (), Wait("no_node", "no node of the lab is up and taking jobs")
        if not equipped:
            return (), self._missing(needs.datasets)
        if count == 0:
            return equipped, None
        sizes = self._sizes
        large = [node for node in equipped if len(sizes[id(node)]) >= count]
        if not large:
            return (), Wait("no_gpu", f"it asks for {count} GPU(s) and no node that could run it has as many")
        able = [node for node in large if sizes[id(node)][count - 1] >= (needed or 0)]
        words = f"it asks for {needed} bytes a GPU and no GPU of the lab is that large"
        return able, None if able else Wait("cannot_fit", words)

    def place(self, ask: Ask, job: Waiting) -> Placement | Wait:
        """Take the room, if there is any that nobody was promised."""
        if ask.count == 0:
            return self._place_on_cpu(ask, job)
        until = self.now + job.time_limit_seconds
        choices, promised = self._choices(ask, until)
        if not choices:
            return RESERVED if promised else NO_FREE_GPU
        node, gpus = self._chosen(choices, ask)
        for gpu in gpus:
            gpu.take(Stay(self.now, until, ask.needed_bytes))
        self._forget_full(node)
        return Placement(job.id, node.name, tuple(gpu.uuid for gpu in gpus), ask.needed_bytes, ask.share)

    def book(self, ask: Ask, job: Waiting) -> Start | None:
        """Promise the job the earliest start there is. Null where no time limit tells when that would be."""
        if ask.count == 0:
            start = earliest_on_cpu(ask.nodes, self.now)
            if start is not None:
                start.node.slot_ends.append(start.time + job.time_limit_seconds)
            return start
        start = earliest_on_gpus(ask.nodes, ask.count, ask.needed_bytes, self.now, job.time_limit_seconds)
        if start is not None:
            for gpu in start.gpus:
                gpu.booked.append(Stay(start.time, start.time + job.time_limit_seconds, ask.needed_bytes))
        return start

    def _place_on_cpu(self, ask: Ask, job: Waiting) -> Placement | Wait:
        node = max(ask.nodes, key=lambda candidate: candidate.slots_free)
        if node.slots_free <= 0:
            return NO_FREE_SLOT
        node.slot_ends.append(self.now + job.time_limit_seconds)
        return Placement(job.id, node.name, (), None, ask.share)

    def _choices(self, ask: Ask, until: float) -> tuple[list[Choice], bool]:
        """Nodes with the GPUs that have room until then; and whether there would be room but for a promise."""
        needed, count, now = ask.needed_bytes, ask.count, self.now
        choices: list[Choice] = []
        promised = False
        for node, gpus in self._open:
            if id(node) not in ask.node_ids or len(gpus) < count:
                continue
            fitting = [gpu for gpu in gpus if gpu.has_room(needed)]
            if len(fitting) < count:
                continue
            lasting = [gpu for gpu in fitting if not gpu.booked or gpu.fits(needed, now, until)]
            if len(lasting) >= count:
                choices.append((node, lasting))
            else:
                promised = True
        return choices, promised

    def _chosen(self, choices: Sequence[Choice], ask: Ask) -> Choice:
        match self._policy.fit:
            case "best":
                return best_fit(choices, ask.count)
            case "gradient":
                return gradient_fit(choices, ask.count, ask.needed_bytes, self.demands)
            case "first":
                return first_fit(choices, ask.count)

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

    def _missing(self, datasets: frozenset[str]) -> Wait:
        names = ", ".join(sorted(datasets - frozenset().union(*(node.datasets for node in self._usable))))
        missing = f"no node has the data set {names}" if names else "no single node has all its data sets"
        return Wait("dataset_missing", missing)


def _size(gpu: GpuRoom) -> float:
    return inf if gpu.total_bytes is None else gpu.total_bytes


def demands_of(asks: Iterable[tuple[Ask, int]]) -> list[Demand]:
    """How the kinds of need are spread over so many jobs each."""
    kinds: Counter[tuple[int, int | None]] = Counter()
    for ask, jobs in asks:
        if ask.count:
            kinds[ask.count, ask.needed_bytes] += jobs
    every = sum(kinds.values())
    return [Demand(count, needed, jobs / every) for (count, needed), jobs in kinds.most_common(20)]
