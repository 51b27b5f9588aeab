"""When lab hours are: each week at the same time by the local clocks, also when these change."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from models.tables.lab_hours import occurrences


def hours(start: str, end: str, until: str | None = None, zone: str = "Europe/Berlin", *skipped: str) -> Any:
    return SimpleNamespace(
        local_start=datetime.fromisoformat(start),
        local_end=datetime.fromisoformat(end),
        weekly_until=until and date.fromisoformat(until),
        skipped_days=[date.fromisoformat(day) for day in skipped],
        time_zone=zone,
    )


def starts(row: Any, after: str = "2000-01-01T00:00+00:00") -> list[str]:
    return [f"{one.start:%m-%dT%H:%M}" for one in occurrences(row, datetime.fromisoformat(after))]


@pytest.mark.parametrize(
    ("zone", "first", "until", "found"),
    [
        ("Europe/Berlin", "2026-10-19", "2026-11-02", ["10-19T08:00", "10-26T09:00", "11-02T09:00"]),
        ("Europe/Berlin", "2027-03-22", "2027-03-29", ["03-22T09:00", "03-29T08:00"]),
        ("America/New_York", "2026-10-26", "2026-11-02", ["10-26T14:00", "11-02T15:00"]),
        ("Australia/Sydney", "2026-09-28", "2026-10-05", ["09-28T00:00", "10-04T23:00"]),
        ("UTC", "2026-10-19", "2026-10-26", ["10-19T10:00", "10-26T10:00"]),
    ],
)
def test_local_time_stays_when_the_clocks_change(zone: str, first: str, until: str, found: list[str]) -> None:
    assert starts(hours(f"{first}T10:00", f"{first}T12:00", until, zone)) == found


def test_night_in_which_the_clocks_change_is_an_hour_longer_or_shorter() -> None:
    row = hours("2026-10-17T22:00", "2026-10-18T06:00", "2026-10-24")
    usual, longer = occurrences(row, datetime(2000, 1, 1, tzinfo=UTC))
    assert [(one.end - one.start).total_seconds() / 3600 for one in (usual, longer)] == [8, 9]


@pytest.mark.parametrize(("until", "count"), [("2030-01-20", 2), ("2030-01-21", 3), (None, 1)])
def test_last_day_is_included(until: str | None, count: int) -> None:
    assert len(starts(hours("2030-01-07T23:00", "2030-01-08T01:00", until))) == count


def test_skipped_days_and_those_that_are_over_are_left_out() -> None:
    row = hours("2030-01-07T10:00", "2030-01-07T12:00", "2030-02-04", "UTC", "2030-01-21")
    assert starts(row, "2030-01-14T11:59+00:00") == ["01-14T10:00", "01-28T10:00", "02-04T10:00"]
    assert starts(row, "2030-01-14T12:00+00:00") == ["01-28T10:00", "02-04T10:00"]
