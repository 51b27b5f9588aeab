"""What late work costs. Pure."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

DAY = timedelta(days=1)


class Lateness(NamedTuple):
    days: int
    """Days that had begun after the deadline; 0 when it was in time."""
    deduction: float
    unit: str
    """`percent` of the points, or `points`."""

    def off(self, points: float) -> float:
        """The points that are left."""
        cost = points * self.deduction / 100 if self.unit == "percent" else self.deduction
        return max(0.0, points - cost)


def lateness(pinned_at: datetime, due_at: datetime, assignment: Any) -> Lateness:
    """`assignment` has `late_deduction` for each day and `late_deduction_unit`."""
    days = max(0, -((due_at - pinned_at) // DAY))
    deduction = days * assignment.late_deduction
    if assignment.late_deduction_unit == "percent":
        deduction = min(deduction, 100.0)
    return Lateness(days, deduction, assignment.late_deduction_unit)
