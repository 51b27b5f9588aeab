"""One GPU and the memory there is: which workloads fit, what they take, and how large their batches can be."""

from dataclasses import dataclass

import torch

from experiments.memory.card import Room, recorded
from experiments.memory.contract import Workload
from experiments.memory.devices import Gpu
from experiments.memory.largest import Largest, Search
from experiments.memory.processes import each
from experiments.memory.recording import Recording
from experiments.memory.step import Category, prepare
from gpulab.schemas.memory import BytesInterval, Parts, Prediction


@dataclass(frozen=True, slots=True)
class Taken:
    """Two steps of a workload."""

    unlimited: Recording
    """With all the memory they want."""
    limited: Recording | None
    """In the memory there is; null where they find no room."""

    @property
    def shown(self) -> Recording:
        """What the GPU shows, or what it would have to have."""
        return self.limited or self.unlimited


class Bench:
    """Steps on a GPU of `total_bytes`, of which the likely context is not the allocator's. It forks processes.

    With `smooth`, what fits only because the allocator tries again does not count as fitting.
    """

    def __init__(self, gpu: Gpu, total_bytes: int, max_parallel: int, *, smooth: bool = False) -> None:
        self.gpu, self.total_bytes, self._max_parallel, self._smooth = gpu, total_bytes, max_parallel, smooth
        self._limit_bytes = max(0, total_bytes - gpu.context.likely_bytes)
        self._taken: dict[Workload, Taken] = {}

    def taken(self, workload: Workload) -> Taken:
        """Raises `ValueError` for a workload that no machine could run."""
        if workload not in self._taken:
            prepare(workload)
            unlimited = unlimited_steps(workload, self.gpu.card)
            limited: Recording | None = unlimited
            if unlimited.peak_reserved_bytes > self._limit_bytes:
                limited = None
            if limited is None and not self._smooth:
                limited = next(each(recorded, [(workload, Room(self.gpu.card, self._limit_bytes))]))
            self._taken[workload] = Taken(unlimited, limited)
        return self._taken[workload]

    def prediction(self, workload: Workload) -> Prediction:
        return predicted(self.taken(workload).shown, self.gpu.card, self.gpu.context)

    def largest(self, workload: Workload) -> Largest:
        """The batch size of the workload does not matter to the answer."""
        base = self.taken(workload).unlimited
        found = Search(workload, self.gpu.card, self._limit_bytes, self._max_parallel).largest(base)
        return Largest(found.without_retries, found.without_retries) if self._smooth else found


def unlimited_steps(workload: Workload, card: str) -> Recording:
    """Raises `ValueError` for a workload that no machine could run."""
    found = next(each(recorded, [(workload, Room(card))]))
    if found is None:
        raise ValueError("batch_size, image_size: no machine has this much memory")
    return found


def predicted(recording: Recording, card: str, context: BytesInterval) -> Prediction:
    """A recording in the words of the API."""
    allocated, reserved = recording.peak_allocated_bytes, recording.peak_reserved_bytes
    held = {f"{kind}_bytes": recording.at_peak[kind] for kind in Category}
    return Prediction(
        card=card,
        torch_version=torch.__version__,
        peak_allocated_bytes=allocated,
        peak_reserved_bytes=reserved,
        peak_device_bytes=context.plus(reserved),
        peak_phase=recording.peak_phase,
        parts=Parts(
            **held,
            rounding_bytes=allocated - sum(held.values()),
            fragmentation_bytes=reserved - allocated,
            cuda_context=context,
        ),
        phases=recording.phases,
    )
