"""A person's requests: a burst, then so many a second, and nobody pays for another."""

from uuid import UUID

import pytest

from api.problems import TooManyRequests
from api.request_rate import RequestRate

ADA, BOB = UUID(int=1), UUID(int=2)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_burst_is_used_up_and_filled_again_at_the_rate() -> None:
    clock = Clock()
    rate = RequestRate(0.5, 2, clock)
    rate.take(ADA)
    rate.take(ADA)
    with pytest.raises(TooManyRequests) as refusal:
        rate.take(ADA)
    assert refusal.value.headers["Retry-After"] == "2"
    rate.take(BOB)
    clock.now += 2
    rate.take(ADA)
    with pytest.raises(TooManyRequests):
        rate.take(ADA)


def test_waiting_long_fills_no_more_than_the_burst() -> None:
    clock = Clock()
    rate = RequestRate(1, 2, clock)
    rate.take(ADA)
    clock.now += 1000
    rate.take(ADA)
    rate.take(ADA)
    with pytest.raises(TooManyRequests):
        rate.take(ADA)


def test_no_rate_is_no_limit() -> None:
    rate = RequestRate(0, 1)
    for _ in range(1000):
        rate.take(ADA)
