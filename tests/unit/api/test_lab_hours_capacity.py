"""How many GPUs are free beside other lab hours."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from api.lab_hours.capacity import too_many

NOW = datetime(2030, 1, 1, tzinfo=UTC)
GPUS = {"a": 4, "b": 2}


def hours(start: str, end: str, gpus: int | None, node: str | None = None, until: str | None = None) -> Any:
    """In January 2030; a day and an hour each."""
    begins, ends = (datetime.strptime(f"2030-01-{text}", "%Y-%m-%d %H") for text in (start, end))  # noqa: DTZ007
    return SimpleNamespace(
        name=f"{start} to {end}",
        local_start=begins,
        local_end=ends,
        gpus=gpus,
        node=node,
        weekly_until=until and date.fromisoformat(until),
        skipped_days=[],
        time_zone="UTC",
    )


@pytest.mark.parametrize(
    ("new", "free"),
    [
        (hours("07 10", "07 12", 3), None),
        (hours("07 10", "07 12", 4), 3),
        (hours("07 08", "07 10", 6), None),
        (hours("07 12", "07 14", 6), None),
        (hours("07 11", "07 13", 2, "a"), 1),
        (hours("07 11", "07 13", 1, "a"), None),
        (hours("07 11", "07 13", None, "a"), 1),
        (hours("07 11", "07 13", None, "b"), None),
        (hours("14 10", "14 12", 6), None),
    ],
)
def test_one_beside_another(new: Any, free: int | None) -> None:
    other = hours("07 10", "07 12", 3, "a")
    found = too_many(new, [other], GPUS, NOW)
    assert (found and found.free) == free
    assert found is None or (found.others == [other] and found.moment.day == 7)


def test_any_week_can_be_the_one_that_collides() -> None:
    weekly = hours("07 10", "07 12", 4, until="2030-01-28")
    found = too_many(weekly, [hours("21 11", "21 20", 3)], GPUS, NOW)
    assert found is not None
    assert (found.moment, found.wanted, found.free) == (datetime(2030, 1, 21, 11, tzinfo=UTC), 4, 3)


def test_several_that_never_meet_leave_more_than_their_sum() -> None:
    others = [hours("07 10", "07 11", 4), hours("07 11", "07 12", 4)]
    assert too_many(hours("07 10", "07 12", 2), others, GPUS, NOW) is None
