"""What two training steps ask of PyTorch's allocator, request by request, on the emulated card of this process."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from experiments.memory.attribution.folding import rows_of
from experiments.memory.attribution.owners import OUTSIDE, Owners, kinds_of, owner_of_parameter
from experiments.memory.contract import Workload
from experiments.memory.step import Category, blank_model, take_steps
from gpulab.schemas.memory import ModuleMemory, PhaseLevel

NOT_READ = ["free_requested", "segment_alloc", "segment_free", "oom", "snapshot"]
"""Of the allocator's history: as many entries as those that are read."""
BLOCK_BYTES = 512
"""The allocator serves multiples of this."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Requests by number, and the events in order: `n + 1` where request n is served, `-(n + 1)` where it is freed."""

    sizes_bytes: list[int]
    events: list[int]
    phases: list[PhaseLevel]
    peak_phase: str
    at_peak: dict[Category, int]
    """Bytes asked for and alive when most were allocated."""
    modules: list[ModuleMemory]
    """The same bytes, by module too."""

    @property
    def peak_allocated_bytes(self) -> int:
        return max(phase.peak_allocated_bytes for phase in self.phases)

    @property
    def peak_reserved_bytes(self) -> int:
        return max(phase.peak_reserved_bytes for phase in self.phases)


def record(workload: Workload) -> Recording:
    """Take the steps. Raises `torch.OutOfMemoryError`, and what the model itself raises."""
    torch.cuda.memory._record_memory_history(context=None, stacks="python", skip_actions=NOT_READ)
    model = blank_model(workload)
    owners = Owners(model)
    recorder = _Recorder(owners, kinds_of(model))
    with owners.noted():
        take_steps(workload, "cuda", recorder.watch)
    (trace,) = torch.cuda.memory._snapshot()["device_traces"]
    torch.cuda.memory._record_memory_history(enabled=None)
    return recorder.recording(trace)


class _Recorder:
    def __init__(self, owners: Owners, kinds: Mapping[str, str]) -> None:
        self.owners, self.kinds = owners, kinds
        self.phases: list[PhaseLevel] = []
        self.ends = [0]
        """How many events had happened when each phase ended."""
        self.named: list[dict[int, tuple[Category, str]]] = []
        """Of each phase, what addresses hold when it ends, and which module it is of."""

    def watch(self, phase: str, named: Mapping[Category, Iterable[tuple[str | None, Tensor]]]) -> None:
        stats = torch._C._cuda_memoryStats(0)
        served, allocated, reserved = (
            stats[name]["all"] for name in ("allocation", "allocated_bytes", "reserved_bytes")
        )
        torch._C._cuda_resetPeakMemoryStats(0)
        self.ends.append(served["allocated"] + served["freed"])
        self.named.append(
            {
                tensor.untyped_storage().data_ptr(): (kind, OUTSIDE if name is None else owner_of_parameter(name))
                for kind, tensors in named.items()
                for name, tensor in tensors
            }
        )
        for _, loss in named.get(Category.ACTIVATIONS, ()):
            self.owners.loss_of_step(loss)
        self.phases.append(
            PhaseLevel(
                phase=phase,
                allocated_bytes=allocated["current"],
                peak_allocated_bytes=allocated["peak"],
                reserved_bytes=reserved["current"],
                peak_reserved_bytes=reserved["peak"],
            )
        )

    def recording(self, trace: Iterable[Mapping[str, Any]]) -> Recording:
        sizes: list[int] = []
        addresses: list[int] = []
        owners: list[str] = []
        events: list[int] = []
        served: dict[int, int] = {}
        for entry in trace:
            address = entry["addr"]
            if entry["action"] == "alloc":
                sizes.append(entry["size"])
                addresses.append(address)
                owners.append(entry["user_metadata"])
                served[address] = len(sizes)
                events.append(len(sizes))
            else:
                events.append(-served.pop(address))
        del events[self.ends[-1] :]
        categories = self._categories(addresses, events, owners)
        at = _peak(sizes, events)
        # Several phases may share a name, and the first one with the peak is meant.
        phase = next(level.phase for level, end in zip(self.phases, self.ends[1:], strict=True) if at < end)
        alive = _alive(events[: at + 1])
        held = dict.fromkeys(Category, 0)
        owned: Counter[tuple[str, Category]] = Counter()
        for number in alive:
            held[categories[number - 1]] += sizes[number - 1]
            owned[owners[number - 1], categories[number - 1]] += sizes[number - 1]
        return Recording(sizes, events, self.phases, phase, held, rows_of(owned, self.kinds))

    def _categories(self, addresses: list[int], events: list[int], owners: list[str]) -> list[Category]:
        """What each request was for: what it was called when a phase ended, or by its life.

        What is called so is of the module that the name says, and `owners` is corrected.
        """
        found = [Category.TEMPORARY] * len(addresses)
        for event, following in pairwise(events):
            if event == -following:
                # Taken and returned with nothing in between: what one kernel wants while it runs.
                found[event - 1] = Category.WORKSPACE
        alive: dict[int, int] = {}
        for (first, end), level, named in zip(pairwise(self.ends), self.phases, self.named, strict=True):
            for event in events[first:end]:
                if event > 0:
                    alive[addresses[event - 1]] = event
                else:
                    del alive[addresses[-event - 1]]
            for address in named.keys() & alive.keys():
                at = alive[address] - 1
                found[at], owners[at] = named[address]
            if level.phase.endswith("forward"):
                _replace(found, alive.values(), {Category.TEMPORARY}, Category.ACTIVATIONS)
        # Nobody in Python holds what is left: a library keeps it for itself.
        _replace(found, alive.values(), {Category.TEMPORARY, Category.ACTIVATIONS}, Category.WORKSPACE)
        return found


def _replace(found: list[Category], numbers: Iterable[int], old: Collection[Category], new: Category) -> None:
    for number in numbers:
        if found[number - 1] in old:
            found[number - 1] = new


def _peak(sizes: list[int], events: list[int]) -> int:
    """The event after which most is allocated; the first of equals."""
    rounded = [-(-size // BLOCK_BYTES) * BLOCK_BYTES for size in sizes]
    live = peak = at = 0
    for index, event in enumerate(events):
        live += rounded[event - 1] if event > 0 else -rounded[-event - 1]
        if live > peak:
            peak, at = live, index
    return at


def _alive(events: Iterable[int]) -> set[int]:
    alive: set[int] = set()
    for event in events:
        alive.add(event) if event > 0 else alive.discard(-event)
    return alive
