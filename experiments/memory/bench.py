"""One GPU and the memory there is: which workloads fit, what they take, and how large their batches can be."""

from dataclasses import dataclass

import torch

from experiments.memory.card import Attempt, EmulatedCard
from experiments.memory.contract import Workload
from experiments.memory.devices import Gpu
from experiments.memory.largest import Largest, Search
from experiments.memory.processes import Child
from experiments.memory.recording import Recording
from experiments.memory.step import Category, prepare
from gpulab.schemas.memory import BytesInterval, Parts, Prediction


@dataclass(frozen=True, slots=True)
class Room:
    """A card, and what the allocator may hold of it.

    With `smooth`, what fits only because the allocator tries again does not count as fitting.
    """

    card: str
    limit_bytes: int
    smooth: bool = False


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


@dataclass(frozen=True, slots=True)
class Explored:
    """What one process has found of a workload in a room."""

    taken: Taken
    search: Search
    largest: Largest | None
    """None if each size in the room needs a process of its own."""

    @property
    def fits(self) -> bool:
        """Whether the workload does, and nothing is left to be found."""
        return self.taken.limited is not None and self.largest is not None


class Bench:
    """Steps on a GPU of `total_bytes`, of which the likely context is not the allocator's. It forks processes."""

    def __init__(self, gpu: Gpu, total_bytes: int, *, smooth: bool = False) -> None:
        self.gpu, self.total_bytes = gpu, total_bytes
        self.room = Room(gpu.card, max(0, total_bytes - gpu.context.likely_bytes), smooth)
        self._taken: dict[Workload, Taken] = {}

    def taken(self, workload: Workload) -> Taken:
        """Raises `ValueError` for a workload that no machine could run, and `StepsRefusedError`."""
        if workload not in self._taken:
            prepare(workload)
            self._taken[workload] = Child(_taken, workload, self.room).result()
        return self._taken[workload]

    def explored(self, workload: Workload, known: Explored | None = None) -> tuple[Taken, Largest]:
        """As `taken`, and the largest batch, which the batch size of the workload does not change."""
        self._taken[workload], largest = explored(workload, self.room, known)
        return self._taken[workload], largest

    def prediction(self, workload: Workload) -> Prediction:
        return predicted(self.taken(workload).shown, self.gpu.card, self.gpu.context)


def explored(workload: Workload, room: Room, known: Explored | None = None) -> tuple[Taken, Largest]:
    """Two steps, and the largest batch. It forks processes for the card, fewer if much is known already.

    Raises as `Bench.taken`.
    """
    prepare(workload)
    found = known or Child(explore, workload, room).result()
    return found.taken, found.largest or found.search.find(lambda sized: Child(_attempted, sized, room).result())


def unlimited_steps(workload: Workload, card: str) -> Recording:
    """Raises as `Bench.taken`."""
    prepare(workload)
    found: Recording = Child(_unlimited, workload, card).result()
    return found


def explore(workload: Workload, room: Room) -> Explored:
    """In a fresh process: what it can find by itself. Raises as `Bench.taken`.

    cuDNN's plan for a shape is remembered, also one that was chosen because memory was short. Batches of different
    sizes share no shapes, but they share those of the evaluation.
    """
    card = EmulatedCard(room.card)
    unlimited = _endless(card, workload)
    search = Search(workload, room.limit_bytes, unlimited)
    search.find_without_retries(lambda sized: card.attempted(sized, enough_bytes=room.limit_bytes))
    taken = _limited(card, workload, room, unlimited)
    if room.smooth:
        return Explored(taken, search, search.smooth)
    search.know(fits=taken.limited is not None)
    if workload.evaluation_batch_size is not None:
        return Explored(taken, search, None)
    return Explored(taken, search, search.find(lambda sized: card.attempted(sized, room.limit_bytes)))


def _taken(workload: Workload, room: Room) -> Taken:
    """In a fresh process."""
    card = EmulatedCard(room.card)
    return _limited(card, workload, room, _endless(card, workload))


def _attempted(workload: Workload, room: Room) -> Attempt:
    """In a fresh process."""
    return EmulatedCard(room.card).attempted(workload, room.limit_bytes)


def _unlimited(workload: Workload, card: str) -> Recording:
    """In a fresh process."""
    return _endless(EmulatedCard(card), workload)


def _endless(card: EmulatedCard, workload: Workload) -> Recording:
    found = card.recorded(workload)
    if found is None:
        raise ValueError("batch_size, image_size: no machine has this much memory")
    return found


def _limited(card: EmulatedCard, workload: Workload, room: Room, unlimited: Recording) -> Taken:
    if unlimited.peak_reserved_bytes <= room.limit_bytes:
        return Taken(unlimited, unlimited)
    return Taken(unlimited, None if room.smooth else card.recorded(workload, room.limit_bytes))


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
        modules=recording.modules,
    )
