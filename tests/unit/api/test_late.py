"""What late work costs."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from api.assignments.late import lateness

DUE = datetime(2030, 1, 31, 22, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "per_day", "unit", "days", "left"),
    [
        (timedelta(0), 10.0, "percent", 0, 8.0),
        (timedelta(days=-3), 10.0, "percent", 0, 8.0),
        (timedelta(microseconds=1), 10.0, "percent", 1, 7.2),
        (timedelta(days=1), 10.0, "percent", 1, 7.2),
        (timedelta(days=1, seconds=1), 10.0, "percent", 2, 6.4),
        (timedelta(days=30), 10.0, "percent", 30, 0.0),
        (timedelta(hours=30), 1.5, "points", 2, 5.0),
        (timedelta(days=9), 1.5, "points", 9, 0.0),
        (timedelta(days=9), 0.0, "points", 9, 8.0),
    ],
)
def test_each_day_that_has_begun_costs(after: timedelta, per_day: float, unit: str, days: int, left: float) -> None:
    policy = SimpleNamespace(late_deduction=per_day, late_deduction_unit=unit)
    found = lateness(DUE + after, DUE, policy)

    assert found.days == days
    assert found.off(8.0) == pytest.approx(left)
