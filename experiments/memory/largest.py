"""The largest batch that fits into a room, proven by steps: they find room with it, and not with the next one."""

from collections.abc import Callable
from dataclasses import dataclass

from experiments.memory.card import Attempt, Room, attempted, recorded
from experiments.memory.contract import Workload
from experiments.memory.processes import StepsRefusedError, each
from experiments.memory.recording import Recording
from experiments.memory.step import Category

MAX_BATCH_SIZE = 65_536
GROWING = (Category.ACTIVATIONS, Category.TEMPORARY, Category.BATCH)
NEARLY = 0.97
"""Of the size that a first guess gives, what is recorded as a second point of the line."""


@dataclass(frozen=True, slots=True)
class Largest:
    """Batch sizes; null where not even one image fits."""

    batch_size: int | None
    without_retries: int | None


class Search:
    """One workload in one room. Each size is tried once, in its own process; at most `max_parallel` at a time."""

    def __init__(self, workload: Workload, card: str, limit_bytes: int, max_parallel: int) -> None:
        self._workload, self._card, self._limit_bytes, self._max_parallel = workload, card, limit_bytes, max_parallel
        self._known: dict[int, Attempt] = {}

    def largest(self, base: Recording) -> Largest:
        """`base` is recorded at the workload's own batch size, with all the memory it wanted."""
        guess, smooth = self._guesses(base)
        # The guess with retries is rarely exact, so that a run of the size after it would mostly be in vain.
        self._try({size for size in (guess, smooth, smooth + 1) if 0 < size <= MAX_BATCH_SIZE})
        without = _last(smooth, lambda size: self._attempt(size).is_smooth)
        found = _last(max(guess, without), lambda size: self._attempt(size).fits)
        return Largest(found or None, without or None)

    def _attempt(self, size: int) -> Attempt:
        self._try({size})
        return self._known[size]

    def _try(self, sizes: set[int]) -> None:
        missing = sorted(sizes - self._known.keys())
        room = Room(self._card, self._limit_bytes)
        found = each(attempted, [(_sized(self._workload, size), room) for size in missing], self._max_parallel)
        self._known |= dict(zip(missing, found, strict=True))

    def _guesses(self, base: Recording) -> tuple[int, int]:
        """With retries and without: a line through two sizes, which the allocator follows but for its jumps."""
        own = self._workload.batch_size
        growing = sum(base.at_peak[kind] for kind in GROWING)
        room = self._limit_bytes - (base.peak_allocated_bytes - growing)
        near = min(MAX_BATCH_SIZE, max(2, int(NEARLY * own * room / max(growing, 1))))
        if room <= 0 or near == own:
            near = max(2, 2 * own)
        other = self._recorded(near)
        if other is None:
            return own, own
        for size, recording in ((own, base), (near, other)):
            if recording.peak_reserved_bytes <= self._limit_bytes:
                self._known[size] = Attempt(fits=True, retries=0)
        return (
            self._where(own, near, base.peak_allocated_bytes, other.peak_allocated_bytes),
            self._where(own, near, base.peak_reserved_bytes, other.peak_reserved_bytes),
        )

    def _recorded(self, size: int) -> Recording | None:
        """Null where no machine has so much memory, or no kernel takes so large a batch."""
        try:
            return next(each(recorded, [(_sized(self._workload, size), Room(self._card))]))
        except StepsRefusedError:
            return None

    def _where(self, first: int, second: int, low: int, high: int) -> int:
        """The batch size at which a line through two levels reaches the limit."""
        slope = max((high - low) / (second - first), 1.0)
        return min(MAX_BATCH_SIZE, max(0, int(first + (self._limit_bytes - low) / slope)))


def _last(guess: int, holds: Callable[[int], bool]) -> int:
    """A size for which `holds` is true while it is false for the next one, near the guess; 0 where there is none."""
    good, bad = 0, MAX_BATCH_SIZE + 1
    size, stride = max(1, guess), 1
    while good < size < bad:
        good, bad = (size, bad) if holds(size) else (good, size)
        size = good + stride if good == size else bad - stride
        stride *= 2
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return good


def _sized(workload: Workload, batch_size: int) -> Workload:
    return workload.model_copy(update={"batch_size": batch_size})
