"""Notices that time passed which the lab did not see: the machine slept, its processes were halted, a clock was set."""

from dataclasses import dataclass

SET_SECONDS = 5.0
"""A clock that moved further than the time that passed was set; less is an adjustment."""
HALTED_SECONDS = 10.0
"""Between two looks of a scheduler. Workers were halted with it, as on a laptop that slept."""


@dataclass(frozen=True, slots=True)
class Jump:
    """What happened between two looks."""

    set_by_seconds: float
    """How far the database's clock was set forward, or back where it is negative; 0 where it was not."""
    halted_seconds: float
    """How long nobody looked; 0 where that was no longer than usual."""


class ClockWatch:
    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._was_halted = False

    def look(self, database: float, machine: float) -> Jump | None:
        """What happened since the last look; None for nothing. `database` are Unix seconds by its clock, `machine` are
        seconds of this machine's clock that nobody sets, and that goes on while it sleeps (CLOCK_BOOTTIME).

        Looks that always take long are a slow scheduler's: only the first of them counts.
        """
        before, self._last = self._last, (database, machine)
        if before is None:
            return None
        passed = machine - before[1]
        moved = database - before[0] - passed
        set_by = moved if abs(moved) > SET_SECONDS else 0.0
        long, was_long = passed > HALTED_SECONDS, self._was_halted
        self._was_halted = long
        halted = passed if long and not was_long else 0.0
        return Jump(set_by, halted) if set_by or halted else None
