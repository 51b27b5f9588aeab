"""What wakes the scheduler: an end at once, a submission when the rest after the last look is over."""

import time
from collections import deque
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from models.settings import SchedulerSettings
from scheduler.loop import ASKS, Scheduler


class Notices:
    """A connection whose notices lie ready."""

    def __init__(self, *states: str) -> None:
        self._ready = deque(states)

    def notifies(self, *, timeout: float, stop_after: int) -> Iterator[Any]:
        assert stop_after == 1
        if self._ready:
            yield SimpleNamespace(payload=f"job 1 1 {self._ready.popleft()}")
        else:
            time.sleep(timeout)


@pytest.fixture
def scheduler() -> Scheduler:
    settings = SchedulerSettings(
        database_url="postgresql://", redis_url="redis://", artifacts_url="file:///", lease_seconds=1
    )
    return Scheduler(settings, None, Event())  # type: ignore[arg-type] # no statement is run here


def awaited(scheduler: Scheduler, *states: str, rest_seconds: float, tick_seconds: float) -> float:
    """Seconds until it wakes."""
    start = time.monotonic()
    scheduler._await_news(Notices(*states), start + rest_seconds, start + tick_seconds)  # type: ignore[arg-type]
    return time.monotonic() - start


def test_end_of_a_job_wakes_at_once_in_spite_of_a_rest(scheduler: Scheduler) -> None:
    assert awaited(scheduler, "leased", "queued", "succeeded", rest_seconds=30, tick_seconds=60) < 20


def test_submission_waits_for_the_end_of_the_rest_and_not_for_the_tick(scheduler: Scheduler) -> None:
    assert 0.2 <= awaited(scheduler, "queued", "queued", rest_seconds=0.2, tick_seconds=60) < 30


def test_other_changes_do_not_wake(scheduler: Scheduler) -> None:
    assert awaited(scheduler, "leased", "running", rest_seconds=0.0, tick_seconds=0.2) >= 0.2


def test_what_was_heard_is_told_whatever_woke_it(scheduler: Scheduler) -> None:
    start = time.monotonic()
    heard = scheduler._await_news(Notices("leased", "queued", "failed"), start + 30, start + 60)  # type: ignore[arg-type]
    assert heard == {"leased", "queued", "failed"}
    assert heard & ASKS == {"queued"}
