"""What two training steps ask of PyTorch's allocator, request by request, on the emulated card of this process."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from experiments.memory.contract import Workload
from experiments.memory.step import Category, take_steps
from gpulab.schemas.memory import PhaseLevel

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

    @property
    def peak_allocated_bytes(self) -> int:
        return max(phase.peak_allocated_bytes for phase in self.phases)

    @property
    def peak_reserved_bytes(self) -> int:
        return max(phase.peak_reserved_bytes for phase in self.phases)


def record(workload: Workload) -> Recording:
    """Take the steps. Raises `torch.OutOfMemoryError`, and what the model itself raises."""
    torch.cuda.memory._record_memory_history(context=None, stacks="python")
    recorder = _Recorder()
    take_steps(workload, "cuda", recorder.watch)
    (trace,) = torch.cuda.memory._snapshot()["device_traces"]
    torch.cuda.memory._record_memory_history(enabled=None)
    return recorder.recording(trace)


class _Recorder:
    def __init__(self) -> None:
        self.phases: list[PhaseLevel] = []
        self.ends = [0]
        """How many events had happened when each phase ended."""
        self.named: list[dict[int, Category]] = []
        """Of each phase, what addresses hold when it ends."""

    def watch(self, phase: str, named: Mapping[Category, Iterable[Tensor]]) -> None:
        stats = torch._C._cuda_memoryStats(0)
        served, allocated, reserved = (
            stats[name]["all"] for name in ("allocation", "allocated_bytes", "reserved_bytes")
        )
        torch._C._cuda_resetPeakMemoryStats(0)
        self.ends.append(served["allocated"] + served["freed"])
        self.named.append(
            {tensor.untyped_storage().data_ptr(): kind for kind, tensors in named.items() for tensor in tensors}
        )
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
        events: list[int] = []
        served: dict[int, int] = {}
        for entry in trace:
            if entry["action"] == "alloc":
                sizes.append(entry["size"])
                addresses.append(entry["addr"])
                served[entry["addr"]] = len(sizes)
                events.append(len(sizes))
            elif entry["action"] == "free_completed":
                events.append(-served.pop(entry["addr"]))
        del events[self.ends[-1] :]
        categories = self._categories(addresses, events)
        at = _peak(sizes, events)
        # Several phases may share a name, and the first one with the peak is meant.
        phase = next(level.phase for level, end in zip(self.phases, self.ends[1:], strict=True) if at < end)
        alive = _alive(events[: at + 1])
        held = dict.fromkeys(Category, 0)
        for number in alive:
            held[categories[number - 1]] += sizes[number - 1]
        return Recording(sizes, events, self.phases, phase, held)

    def _categories(self, addresses: list[int], events: list[int]) -> list[Category]:
        """What each request was for: what it was called when a phase ended, or by its life."""
        found = [Category.TEMPORARY] * len(addresses)
        for event, following in pairwise(events):
            if event == -following:
                # Taken and returned with nothing in between: what one kernel wants while it runs.
                found[event - 1] = Category.WORKSPACE
        alive: set[int] = set()
        for (first, end), level, named in zip(pairwise(self.ends), self.phases, self.named, strict=True):
            for event in events[first:end]:
                alive.add(event) if event > 0 else alive.discard(-event)
            for number in alive:
                found[number - 1] = named.get(addresses[number - 1], found[number - 1])
                if level.phase.endswith("forward") and found[number - 1] is Category.TEMPORARY:
                    found[number - 1] = Category.ACTIVATIONS
        for number in alive:
            if found[number - 1] in {Category.TEMPORARY, Category.ACTIVATIONS}:
                # Nobody in Python holds it: a library keeps it for itself.
                found[number - 1] = Category.WORKSPACE
        return found


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
