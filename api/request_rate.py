"""How fast one person may ask: a token bucket a person, in the memory of one process."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from api.problems import TooManyRequests

PEOPLE = 10_000


class RequestRate:
    """A bucket holds `burst` requests and is filled by `per_second`; 0 per second means no limit."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[UUID, tuple[float, float]] = OrderedDict()

    def take(self, person: UUID) -> None:
        """Count one request. Raises `TooManyRequests` when the bucket is empty."""
        if not self._per_second:
            return
        now = self._clock()
        left, then = self._buckets.get(person, (float(self._burst), now))
        left = min(self._burst, left + (now - then) * self._per_second)
        if left < 1:
            seconds = math.ceil((1 - left) / self._per_second)
            raise TooManyRequests(
                f"at most {self._per_second:g} requests a second, after a burst of {self._burst}; wait {seconds} s",
                headers={"Retry-After": str(seconds)},
            )
        self._buckets[person] = (left - 1, now)
        self._buckets.move_to_end(person)
        if len(self._buckets) > PEOPLE:
            self._buckets.popitem(last=False)
