"""Bounds the log of a child process while it writes."""

import shutil
import time
from pathlib import Path

MAX_LOG_BYTES = 10 * 2**20
MAX_LOG_DAYS = 14
DAY_SECONDS = 86_400


def bound_log(path: Path, now: float | None = None) -> None:
    """Move the end of a log that is large or old into `NAME.log.1`, and empty it. There is one old file.

    The log is emptied in place, since its writer keeps it open: that must append. The old file's time says when that
    was last done.
    """
    old = path.with_suffix(".log.1")
    if not path.exists():
        return
    if not old.exists():
        old.touch()
    age_seconds = (time.time() if now is None else now) - old.stat().st_mtime
    if path.stat().st_size > MAX_LOG_BYTES or age_seconds > MAX_LOG_DAYS * DAY_SECONDS:
        _set_aside(path, old)


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
