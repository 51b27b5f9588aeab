"""Detects jobs that hold GPUs and do not use them."""

from collections.abc import Sequence
from enum import StrEnum


class Verdict(StrEnum):
    NOTHING = "nothing"
    NOTICE = "notice"
    """Half of the time is over: notify the owner."""
    END = "end"


class IdleWatch:
    """Idle means that every GPU of the job is below `percent`, by readings that are known, without a break."""

    def __init__(self, *, percent: float, seconds: float) -> None:
        self._percent = percent
        self._seconds = seconds
        self._since: float | None = None
        self._warned = False

    def look(self, now: float, utilizations: Sequence[float | None]) -> Verdict:
        """What one look at the job's GPUs comes to. An unknown reading counts as use: no job ends by a guess."""
        idle = bool(utilizations) and all(each is not None and each < self._percent for each in utilizations)
        if not idle or not self._seconds:
            self._since, self._warned = None, False
            return Verdict.NOTHING
        self._since = now if self._since is None else self._since
        passed = now - self._since
        if passed >= self._seconds and self._warned:
            return Verdict.END
        if passed >= self._seconds / 2 and not self._warned:
            self._warned = True
            return Verdict.NOTICE
        return Verdict.NOTHING
