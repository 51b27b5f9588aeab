"""Servers that are away: said once, then now and then, and waited for.

A process that runs on and on waits for its servers without a limit; a one-shot tool gives up after `ONE_SHOT_SECONDS`.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from psycopg import errors
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError

from models.composed import run
from models.database import DATABASE_AWAY, DatabaseAwayError, first_line, noticing_absence
from models.lab_process import RefusedError
from models.statements.readiness import schema_version
from server.session_pooling import ADVICE, shares_sessions

T = TypeVar("T")

ONE_SHOT_SECONDS = 60.0
REMIND_SECONDS = 30.0
PAUSE_SECONDS = 0.5

log = structlog.get_logger()


class Outage:
    """One server as one part of a process sees it. Not for several threads at once."""

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
    action: Callable[[], T],
    *,
    event: str = "database.away",
    away: tuple[type[Exception], ...] = DATABASE_AWAY,
    limit_seconds: float | None = None,
    pause: Callable[[float], Any] = time.sleep,
) -> T:
    """What `action` returns, once its server is there. It must do no harm when it is done again.

    Raises one of `away` when the server was away for `limit_seconds`; without that, it waits for ever.
    """
    outage = Outage(event)
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    while True:
        try:
            done = action()
        except away as error:
            if deadline is not None and time.monotonic() > deadline:
                raise
            outage.goes_on(error, **({} if limit_seconds is None else {"limit_seconds": limit_seconds}))
            pause(PAUSE_SECONDS)
        else:
            outage.over()
            return done


def refuse_shared_sessions(url: str) -> None:
    """Raises `RefusedError` where the database's address leads to a pooler that the lab cannot work with."""
    with noticing_absence():
        if shares_sessions(url):
            raise RefusedError(f"DATABASE_URL: {ADVICE}")


def await_database(engine: Engine) -> None:
    """Return once the database answers and has tables. Both may come after the process that needs them."""
    persist(lambda: _check_tables(engine))


def _check_tables(engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            run(connection, schema_version).one()
    except ProgrammingError as error:
        if not isinstance(error.orig, errors.UndefinedTable):
            raise
        raise DatabaseAwayError("it has no tables yet: run `python -m migrations`") from error
