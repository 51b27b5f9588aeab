"""Servers that are away: said once, then now and then, and waited for."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from models.database import DATABASE_AWAY, first_line

T = TypeVar("T")

REMIND_SECONDS = 30.0
PAUSE_SECONDS = 0.5

log = structlog.get_logger()


class Outage:
    """One server as one part of a program sees it. Not for several threads at once."""

    def __init__(self, event: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._clock = clock
        self._since: float | None = None
        self._said_at = 0.0

    def goes_on(self, error: BaseException, **facts: Any) -> None:
        """It is away, again or still."""
        now = self._clock()
        if self._since is None:
            self._since = now
        elif now - self._said_at < REMIND_SECONDS:
            return
        self._said_at = now
        log.warning(self._event, reason=first_line(error), seconds=round(now - self._since), **facts)

    def over(self) -> None:
        """It answers."""
        if self._since is not None:
            log.info(f"{self._event}_no_more", seconds=round(self._clock() - self._since))
            self._since = None


def persist(
    action: Callable[[], T], *, limit_seconds: float | None = None, pause: Callable[[float], Any] = time.sleep
) -> T:
    """What `action` returns, once the database lets it. It must do no harm when it is done again.

    Raises one of `DATABASE_AWAY` when the database was away for `limit_seconds`; without that, it waits for ever.
    """
    outage = Outage("database.away")
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    while True:
        try:
            done = action()
        except DATABASE_AWAY as error:
            if deadline is not None and time.monotonic() > deadline:
                raise
            outage.goes_on(error, **({} if limit_seconds is None else {"waits_seconds": limit_seconds}))
            pause(PAUSE_SECONDS)
        else:
            outage.over()
            return done
