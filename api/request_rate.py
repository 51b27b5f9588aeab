"""How fast one person may ask: a token bucket a person."""

import math
from uuid import UUID

from api.buckets import Buckets
from api.problems import TooManyRequests


class RequestRate:
    """A bucket holds `burst` requests and is filled by `per_second`; 0 per second means no limit."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def take(self, person: UUID) -> None:
        """Count one request. Raises `TooManyRequests` when the bucket is empty."""
        if not self._buckets.per_second:
            return
        key = person.hex
        if (left_seconds := self._buckets.wait_seconds(key)) > 0:
            seconds = math.ceil(left_seconds)
            raise TooManyRequests(
                f"at most {self._buckets.per_second:g} requests a second, after a burst of {self._buckets.burst}; "
                f"wait {seconds} s",
                headers={"Retry-After": str(seconds)},
            )
        self._buckets.take(key)
