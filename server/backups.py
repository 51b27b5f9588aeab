"""The daily backup of a lab that `gpulab up` keeps: a child process, started when one is due."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from server.child_process import tail
from server.log_files import bound_log
from server.supervision import LabProcess

RETRY = timedelta(hours=1)
LOOK = timedelta(seconds=20)
_FAILED = "The backup failed: "
_NAME = re.compile(r"gpulab-(\d{8}T\d{6})Z")


@dataclass(frozen=True)
class BackupPlan:
    folder: Path
    at: time
    """In this machine's time zone."""
    keep: int


class DailyBackup:
    """Starts a backup when the newest one is older than the last time at which one was due.

    So a lab that was down at that time makes it at its next start, and the state is in the folder alone.
    """

    def __init__(self, plan: BackupPlan, process: LabProcess, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._process = process
        self._say = say
        self._look_at: datetime | None = None

    def tend(self, now: datetime) -> None:
        """Look once. `now` is aware. What the folder or the log refuses is said, and tried again: the lab goes on."""
        # A later one was set while the clock was ahead.
        if self._look_at is not None and now < self._look_at <= now + RETRY:
            return
        self._look_at = now + LOOK
        try:
            self._look(now)
        except (OSError, ValueError) as error:
            self._look_at = now + RETRY
            self._say(f"No backup could be made: {error}. The next try is in an hour.")

    def stop(self) -> None:
        """A backup that is cut off is removed by the next one."""
        self._process.stop()

    def _look(self, now: datetime) -> None:
        if self._process.process is not None:
            self._note_end(now)
        elif is_due(self._plan, now):
            self._say(f"Backing up to {self._plan.folder}")
            bound_log(self._process.log_path)
            self._process.start()

    def _note_end(self, now: datetime) -> None:
        status = self._process.process.poll() if self._process.process is not None else None
        if status is None:
            return
        self._process.stop()
        if status == 0:
            self._say(tail(self._process.log_path, 1))
        else:
            self._look_at = now + RETRY
            self._say(
                f"{_FAILED}{tail(self._process.log_path, 1).removeprefix(_FAILED)}. The next try is in an hour; "
                f"its log is {self._process.log_path}"
            )


def is_due(plan: BackupPlan, now: datetime) -> bool:
    """Whether the newest backup is older than the last time of day at which one is made."""
    local = now.astimezone()
    due = local.replace(hour=plan.at.hour, minute=plan.at.minute, second=0, microsecond=0)
    if due > local:
        due -= timedelta(days=1)
    newest = _newest(plan.folder, now)
    return newest is None or newest < due


def _newest(folder: Path, now: datetime) -> datetime | None:
    """When the newest complete backup was made, by its name. One later than now was made while the clock was ahead."""
    if not folder.is_dir():
        return None
    found = [made_at for path in folder.iterdir() if (made_at := _made_at(path.name)) is not None]
    return max((made_at for made_at in found if made_at <= now), default=None)


def _made_at(name: str) -> datetime | None:
    """None for a name that is not a backup's, such as one of the thirteenth month."""
    if (match := _NAME.fullmatch(name)) is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
