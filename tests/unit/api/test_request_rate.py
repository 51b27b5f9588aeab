"""A user's requests: a burst, then a rate per second; no user pays for another."""

import pytest

from api.http.problems import TooManyRequests
from api.limits.buckets import Buckets
from api.limits.request_rate import RequestRate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_burst_is_used_up_and_filled_again_at_the_rate() -> None:
    clock = Clock()
    rate = RequestRate(Buckets("requests", 0.5, 2, clock))
    rate.take("ada")
    rate.take("ada")
    with pytest.raises(TooManyRequests) as refusal:
        rate.take("ada")
    assert refusal.value.headers["Retry-After"] == "2"
    rate.take("bob")
    clock.now += 2
    rate.take("ada")
    with pytest.raises(TooManyRequests):
        rate.take("ada")


def test_waiting_long_fills_no_more_than_the_burst() -> None:
    clock = Clock()
    rate = RequestRate(Buckets("requests", 1, 2, clock))
    rate.take("ada")
    clock.now += 1000
    rate.take("ada")
    rate.take("ada")
    with pytest.raises(TooManyRequests):
        rate.take("ada")


def test_no_rate_is_no_limit() -> None:
    rate = RequestRate(Buckets("requests", 0, 1))
    for _ in range(1000):
        rate.take("ada")


def test_what_others_took_counts_and_what_they_took_too_much_is_owed() -> None:
    clock = Clock()
    buckets = Buckets("requests", 1, 5, clock)
    buckets.take("ada")
    assert buckets.untold() == {"ada": 1}
    buckets.take("ada")
    buckets.learn({"ada": -1.0})
    assert buckets.wait_seconds("ada") == 3  # two owed, one of them not told yet, and one to take
    clock.now += 3
    assert buckets.wait_seconds("ada") == 0


def test_what_could_not_be_told_is_told_later() -> None:
    buckets = Buckets("requests", 1, 5, Clock())
    buckets.take("ada")
    buckets.not_told(buckets.untold())
    buckets.take("ada")
    assert buckets.untold() == {"ada": 2}
    assert buckets.untold() == {}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.limits.buckets.KEYS", 50)
    buckets = Buckets("requests", 1, 1, Clock())
    for number in range(1000):
        buckets.take(str(number))
    assert len(buckets) == 50
    assert buckets.wait_seconds("999") > 0
