"""How much one client may ask for: a token bucket a user, and one an address for those who have not signed in."""

import math

from api.http.problems import TooManyRequests
from api.limits.buckets import Buckets

BYTES_PER_REQUEST = 16_384
"""A body counts as one more request for each of these."""
SECONDS_PER_REQUEST = 0.01
"""So does processor time: a request is expected to take this much."""


class RequestRate:
    """A bucket holds `burst` requests and is filled by `per_second`; 0 per second means no limit."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def take(self, client: str) -> None:
        """Count one request. Raises `TooManyRequests` when the bucket is empty."""
        self.check(client)
        if self._buckets.per_second:
            self._buckets.take(client)

    def check(self, client: str) -> None:
        """Raises `TooManyRequests` when the bucket is empty."""
        if self._buckets.per_second and (left_seconds := self._buckets.wait_seconds(client)) > 0:
            seconds = math.ceil(left_seconds)
            raise TooManyRequests(
                f"at most {self._buckets.per_second:g} requests a second, after a burst of {self._buckets.burst}; "
                f"large bodies and slow responses count as several; wait {seconds} s",
                headers={"Retry-After": str(seconds)},
            )

    def charge(self, client: str, requests: int, body_bytes: int, processor_seconds: float) -> None:
        """Count what a request turned out to be, beside the `requests` that were not counted yet."""
        count = requests + body_bytes // BYTES_PER_REQUEST + int(processor_seconds / SECONDS_PER_REQUEST)
        if count and self._buckets.per_second:
            self._buckets.take(client, count)
