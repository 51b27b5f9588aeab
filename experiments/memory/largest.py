"""The largest batch that fits into a room, proven by steps: they find room with it, and not with the next one.

Whether the allocator must try again is known from steps with endless memory: it must not if they reserve no more than
there is. Whether they fit with retries takes steps in the room itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from experiments.memory.card import Attempt
from experiments.memory.contract import Workload
from experiments.memory.recording import Recording
from experiments.memory.step import Category

MAX_BATCH_SIZE = 65_536
GROWING = (Category.ACTIVATIONS, Category.TEMPORARY, Category.BATCH)
NEARLY = 0.97
"""Of the size that a first guess gives, what is taken as a second point of the line."""
MAX_GUESSES = 6
"""After this many guesses by the line, the search tries the middle. That ends sooner where the allocator jumps."""

Takes = Callable[[Workload], Attempt]


@dataclass(frozen=True, slots=True)
class Largest:
    """Batch sizes; null where not even one image fits."""

    batch_size: int | None
    without_retries: int | None


class Search:
    """One workload in one room. Each size is taken once with endless memory and once in the room, in this order."""

    def __init__(self, workload: Workload, limit_bytes: int, base: Recording) -> None:
        """`base` is recorded at the workload's own batch size, with all the memory it wanted."""
        self._workload, self._limit_bytes = workload, limit_bytes
        self._endless = {
            workload.batch_size: Attempt(
                fits=True,
                retries=0,
                peak_allocated_bytes=base.peak_allocated_bytes,
                peak_reserved_bytes=base.peak_reserved_bytes,
            )
        }
        self._fits: dict[int, bool] = {}
        self._second = self._first_guess(base)
        self._without_retries = 0

    def know(self, *, fits: bool) -> None:
        """Whether the workload's own size fits with retries."""
        self._fits[self._workload.batch_size] = fits

    def find_without_retries(self, take: Takes) -> None:
        """`take` has endless memory."""
        good, bad = 0, MAX_BATCH_SIZE + 1
        sizes = [self._workload.batch_size, self._second]
        tries = 0
        while bad - good > 1:
            size = sizes.pop(0) if sizes else self._between(good, bad, tries)
            tries += 1
            if not good < size < bad:
                continue
            if self._is_smooth(size, take):
                good = size
            else:
                bad = size
        self._without_retries = good

    def find(self, take: Takes) -> Largest:
        """`take` has the room alone."""
        without = self._without_retries
        found = _last(max(self._guess("peak_allocated_bytes"), without), lambda size: self._holds(size, take))
        return Largest(found or None, without or None)

    @property
    def smooth(self) -> Largest:
        """Where nothing counts that has to be tried again."""
        return Largest(self._without_retries or None, self._without_retries or None)

    def _is_smooth(self, size: int, take: Takes) -> bool:
        if size not in self._endless:
            self._endless[size] = take(self._sized(size))
        return self._reserves_enough(size)

    def _reserves_enough(self, size: int) -> bool:
        found = self._endless.get(size)
        return found is not None and found.fits and found.peak_reserved_bytes <= self._limit_bytes

    def _holds(self, size: int, take: Takes) -> bool:
        if self._reserves_enough(size):
            return True
        if size not in self._fits:
            self._fits[size] = take(self._sized(size)).fits
        return self._fits[size]

    def _sized(self, size: int) -> Workload:
        return self._workload.model_copy(update={"batch_size": size})

    def _first_guess(self, base: Recording) -> int:
        own = self._workload.batch_size
        growing = sum(base.at_peak[kind] for kind in GROWING)
        room = self._limit_bytes - (base.peak_allocated_bytes - growing)
        near = min(MAX_BATCH_SIZE, max(2, int(NEARLY * own * room / max(growing, 1))))
        return max(2, 2 * own) if room <= 0 or near == own else near

    def _between(self, good: int, bad: int, tries: int) -> int:
        """The next size to take, between one that is smooth and one that is not."""
        size = self._guess("peak_reserved_bytes") if tries < MAX_GUESSES else (good + bad) // 2
        if bad > MAX_BATCH_SIZE:
            # Nothing has been too large yet.
            size = max(size, good + max(1, good // 16))
        return min(max(size, good + 1), bad - 1)

    def _guess(self, level: str) -> int:
        """The size at which a line through the two nearest sizes reaches the limit; the allocator jumps around it."""
        known = [(size, getattr(found, level)) for size, found in self._endless.items() if found.fits]
        nearest = sorted(known, key=lambda point: abs(point[1] - self._limit_bytes))[:2]
        if len(nearest) < 2:
            return self._workload.batch_size
        (first, low), (second, high) = sorted(nearest)
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
