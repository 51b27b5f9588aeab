"""Bounds the log of a child process while it writes."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

MAX_LOG_BYTES = 10 * 2**20
MAX_LOG_DAYS = 14
DAY_SECONDS = 86_400


def bound_log(path: Path, now: float | None = None) -> None:
    """Move the end of a log that is large or old into `NAME.log.1`, and empty it. There is one old file.

    The log is emptied in place, since its writer keeps it open: that must append. The old file's time says when that
    was last done. What a file refuses is left for the next time.
    """
    old = path.with_suffix(".log.1")
    with suppress(OSError):
        age_limit = (time.time() if now is None else now) - MAX_LOG_DAYS * DAY_SECONDS
        if path.stat().st_size > MAX_LOG_BYTES or _emptied_at(old) < age_limit:
            _set_aside(path, old)


def _emptied_at(old: Path) -> float:
    """When the log was last set aside, or first seen."""
    if not old.exists():
        old.touch()
    return old.stat().st_mtime


def _set_aside(path: Path, old: Path) -> None:
    with path.open("r+b") as log:
        log.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
        try:
            with old.open("wb") as kept:
                shutil.copyfileobj(log, kept)
        except OSError:
            # A full disk: emptying the log is what helps.
            old.touch()
        finally:
            log.truncate(0)
