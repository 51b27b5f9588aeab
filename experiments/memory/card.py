"""An emulated card with a given memory, in its own process: two steps of a workload, recorded or only tried."""

from dataclasses import dataclass

import torch

from emulator.cards import card as card_named
from emulator.world import ENDLESS_BYTES, EmulatedGpu, become, with_room
from experiments.memory.contract import Workload
from experiments.memory.processes import StepsRefusedError
from experiments.memory.recording import Recording, record
from experiments.memory.step import ran_out_of_memory, take_steps


@dataclass(frozen=True, slots=True)
class Room:
    """A card, and what the allocator may hold of it; null for as much as it wants."""

    card: str
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of two steps in a room."""

    fits: bool
    retries: int
    """How often the allocator had to return free blocks to the driver and try again."""

    @property
    def is_smooth(self) -> bool:
        return self.fits and not self.retries


def recorded(workload: Workload, room: Room) -> Recording | None:
    """The recording of two steps; None where the room does not suffice. In a fresh process.

    Raises `StepsRefusedError`.
    """
    become(_gpu(room))
    try:
        return record(workload)
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise StepsRefusedError(
                f"PyTorch refuses the step on an emulated {room.card}: {_first_line(error)}"
            ) from error
        return None


def attempted(workload: Workload, room: Room) -> Attempt:
    """Whether two steps find room. In a fresh process."""
    become(_gpu(room))
    try:
        take_steps(workload, "cuda")
    except (RuntimeError, ValueError):
        # No memory is left, a kernel takes no batch of this size, or batch norm has a single pixel to normalise.
        return Attempt(fits=False, retries=_retries())
    return Attempt(fits=True, retries=_retries())


def _first_line(error: Exception) -> str:
    """What it says, without the trace that torch may add."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _retries() -> int:
    found: int = torch._C._cuda_memoryStats(0)["num_alloc_retries"]
    return found


def _gpu(room: Room) -> EmulatedGpu:
    """The context is left out: the limit is what the allocator may hold."""
    return with_room(card_named(room.card), ENDLESS_BYTES if room.limit_bytes is None else room.limit_bytes)
