"""The emulated card of a process: two steps of a workload, recorded or only tried, one run after the other.

A run leaves nothing behind, so each takes to the byte what it takes in a fresh process. A test compares them.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from emulator.cards import card as card_named
from emulator.world import ENDLESS_BYTES, become, with_room
from experiments.memory.contract import Workload
from experiments.memory.processes import NotPredictedError, StepsRefusedError
from experiments.memory.recording import Recording, record
from experiments.memory.step import ran_out_of_memory, take_steps

T = TypeVar("T")
MAX_WAIT_SECONDS = 30.0
PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of two steps."""

    fits: bool
    retries: int
    """How often the allocator had to return free blocks to the driver and try again."""
    peak_allocated_bytes: int
    peak_reserved_bytes: int

    @property
    def is_smooth(self) -> bool:
        return self.fits and not self.retries


class EmulatedCard:
    """One for each process, and only in one that has the emulated driver and has not used it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def recorded(self, workload: Workload, limit_bytes: int = ENDLESS_BYTES) -> Recording | None:
        """The recording of two steps; None where the allocator would need more than the limit.

        Raises `StepsRefusedError`, and `ValueError` for a batch that the model refuses.
        """
        self._limit(limit_bytes)
        return self._clean(lambda: self._or_none(lambda: record(workload)))

    def attempted(
        self, workload: Workload, limit_bytes: int = ENDLESS_BYTES, enough_bytes: int = ENDLESS_BYTES
    ) -> Attempt:
        """Two steps that are only tried. A batch that the model or a kernel refuses does not fit.

        They end early, and the peaks are those until then, after the first phase that reserved more than enough.
        """
        self._limit(limit_bytes)
        return self._clean(lambda: _attempt(workload, enough_bytes))

    def _or_none(self, run: Callable[[], T]) -> T | None:
        try:
            return run()
        except RuntimeError as error:
            if not ran_out_of_memory(error):
                raise StepsRefusedError(
                    f"PyTorch refuses the step on an emulated {self.name}: {_first_line(error)}"
                ) from error
            return None

    def _limit(self, limit_bytes: int) -> None:
        """The context is left out: the limit is what the allocator may hold."""
        become(with_room(card_named(self.name), limit_bytes))

    def _clean(self, run: Callable[[], T]) -> T:
        """Empty afterwards, unless the run raises: the error holds the tensors of the run, and the process ends."""
        if left_bytes := torch.cuda.memory_reserved():
            raise NotPredictedError(f"{left_bytes} bytes of the run before are still held")
        found = run()
        self._empty()
        return found

    def _empty(self) -> None:
        """Give back all that the run took, so that the next one finds what a fresh process finds.

        Where a backward pass fails, autograd's own thread still holds tensors for a moment, and nothing says how long.
        """
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        self._give_back()
        while torch.cuda.memory_reserved() and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
            self._give_back()

    def _give_back(self) -> None:
        gc.collect()
        torch.cuda.memory._record_memory_history(enabled=None)
        torch._C._cuda_clearCublasWorkspaces()
        torch.cuda.empty_cache()
        torch._C._cuda_resetAccumulatedMemoryStats(0)
        torch._C._cuda_resetPeakMemoryStats(0)


class _EnoughError(Exception):
    """Ends the steps early: enough is known."""


def _attempt(workload: Workload, enough_bytes: int) -> Attempt:
    def watch(*_: object) -> None:
        if torch._C._cuda_memoryStats(0)["reserved_bytes"]["all"]["peak"] > enough_bytes:
            raise _EnoughError

    try:
        take_steps(workload, "cuda", watch)
    except _EnoughError:
        return _seen(fits=True)
    except (RuntimeError, ValueError):
        # No memory is left, a kernel takes no batch of this size, or batch norm has a single pixel to normalise.
        return _seen(fits=False)
    return _seen(fits=True)


def _seen(*, fits: bool) -> Attempt:
    stats = torch._C._cuda_memoryStats(0)
    allocated, reserved = (stats[name]["all"]["peak"] for name in ("allocated_bytes", "reserved_bytes"))
    return Attempt(fits, stats["num_alloc_retries"], allocated, reserved)


def _first_line(error: Exception) -> str:
    """What it says, without the trace that torch may add."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
