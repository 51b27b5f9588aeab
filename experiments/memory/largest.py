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
RESERVES_MORE = 0.93
"""The search starts below the size at which tensors fill the room: the allocator reserves more than they take."""
TENSORS_SHARE = 0.998
"""Share of the room that tensors take at the largest batch. The rest is in free blocks that no request fits into."""
MAX_FACTOR = 10
"""Up to this many times the workload's own size, its reserved bytes predict better than the bytes of its tensors."""
STRIDE_SHARE = 256
"""Without anything to aim by, the first stride is this part of the guess."""
MAX_AIMED = 4
"""After this many sizes that a proportion gave, the search strides. That ends sooner where the allocator jumps."""

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
        self._fixed_bytes = base.peak_allocated_bytes - sum(base.at_peak[kind] for kind in GROWING)
        self._endless = {
            workload.batch_size: Attempt(
                fits=True,
                retries=0,
                peak_allocated_bytes=base.peak_allocated_bytes,
                peak_reserved_bytes=base.peak_reserved_bytes,
            )
        }
        self._fits: dict[int, bool] = {}
        self._without_retries = 0

    def know(self, *, fits: bool) -> None:
        """Whether the workload's own size fits with retries."""
        self._fits[self._workload.batch_size] = fits

    def find_without_retries(self, take: Takes) -> None:
        """`take` has endless memory, and may end as soon as more than the limit is reserved."""
        self._without_retries = _last(self._first_guess(), lambda size: self._is_smooth(size, take), self._aim)

    def find(self, take: Takes) -> Largest:
        """`take` has the room alone."""
        without = self._without_retries
        tensors = self._filling(without or self._workload.batch_size, "peak_allocated_bytes", TENSORS_SHARE)
        found = _last(max(tensors, without), lambda size: self._holds(size, take))
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

    def _first_guess(self) -> int:
        own = self._workload.batch_size
        tensors = self._filling(own, "peak_allocated_bytes", RESERVES_MORE)
        return self._aim(own) if tensors <= MAX_FACTOR * own else tensors

    def _aim(self, size: int) -> int:
        """The size that would reserve the limit by what this one reserves; half of one that no kernel takes."""
        return self._filling(size, "peak_reserved_bytes") if self._endless[size].fits else size // 2

    def _filling(self, size: int, level: str, share: float = 1.0) -> int:
        """The size at which a level reaches a share of the limit, if what grows is in proportion to the batch."""
        growing = max(getattr(self._endless[size], level) - self._fixed_bytes, 1)
        return int(size * (share * self._limit_bytes - self._fixed_bytes) / growing)


def _last(guess: int, holds: Callable[[int], bool], aim: Callable[[int], int] | None = None) -> int:
    """A size for which `holds` is true while it is false for the next one, near the guess; 0 where there is none.

    `aim` gives a nearer guess from a size that was asked.
    """
    good, bad = 0, MAX_BATCH_SIZE + 1
    size, tries = min(max(guess, 1), MAX_BATCH_SIZE), 0
    first_stride = 1 if aim else max(1, size // STRIDE_SHARE)
    while bad - good > 1:
        stride = first_stride << max(0, tries - MAX_AIMED if aim else tries)
        tries += 1
        if holds(size):
            good, size = size, max(size + stride, aim(size) if aim else 0)
        else:
            bad, size = size, min(size - stride, aim(size) if aim else size)
        if not good < size < bad:
            size = (good + bad) // 2
    return good
