"""When `gpulab up` makes its daily backup, and what it says of it."""

import errno
import os
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from server.backups import BackupPlan, DailyBackup, is_due
from server.supervision import LabProcess

NOON = datetime(2026, 11, 30, 12, 0).astimezone()


def plan(folder: Path, at: time = time(3, 0)) -> BackupPlan:
    return BackupPlan(folder, at, 7)


def name_of(at: datetime) -> str:
    return f"gpulab-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


@pytest.mark.parametrize(
    ("newest", "due"),
    [
        (None, True),
        (timedelta(hours=8), False),
        (timedelta(hours=10), True),
        (timedelta(days=3), True),
    ],
)
def test_a_backup_is_due_when_the_newest_is_older_than_the_last_three_o_clock(
    tmp_path: Path, newest: timedelta | None, due: bool
) -> None:
    (tmp_path / "holiday-pictures").mkdir()
    (tmp_path / f"{name_of(NOON)}.partial").mkdir()
    if newest is not None:
        (tmp_path / name_of(NOON - newest)).mkdir()
    assert is_due(plan(tmp_path), NOON) is due


def test_before_the_time_of_day_the_backup_of_the_day_before_counts(tmp_path: Path) -> None:
    (tmp_path / name_of(NOON - timedelta(hours=20))).mkdir()
    assert not is_due(plan(tmp_path, time(13, 0)), NOON)
    assert is_due(plan(tmp_path, time(11, 0)), NOON)
    assert is_due(plan(tmp_path / "not-made-yet"), NOON)


def test_a_name_that_is_no_time_and_one_of_a_clock_that_was_ahead_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "gpulab-20261399T000000Z").mkdir()
    (tmp_path / "gpulab-20300101T030000Z").mkdir()
    (tmp_path / name_of(NOON - timedelta(days=2))).mkdir()
    assert is_due(plan(tmp_path), NOON)
    (tmp_path / name_of(NOON - timedelta(hours=1))).mkdir()
    assert not is_due(plan(tmp_path), NOON)


def backup_by(tmp_path: Path, code: str) -> tuple[DailyBackup, LabProcess, list[str]]:
    said: list[str] = []
    process = LabProcess([sys.executable, "-c", code], tmp_path / "backup.log", {}, tmp_path)
    return DailyBackup(plan(tmp_path / "backups"), process, said.append), process, said


def ended(process: LabProcess) -> None:
    assert process.process is not None
    process.process.wait(20)


def test_its_sentence_is_passed_on(tmp_path: Path) -> None:
    backup, process, said = backup_by(tmp_path, "print('Backed up 3 rows.')")
    backup.tend(NOON)
    ended(process)
    backup.tend(NOON + timedelta(minutes=1))
    assert said == [f"Backing up to {tmp_path / 'backups'}", "Backed up 3 rows."]


def test_a_failed_one_is_said_and_tried_again_after_an_hour(tmp_path: Path) -> None:
    backup, process, said = backup_by(tmp_path, "print('the disk is full'); raise SystemExit(1)")
    backup.tend(NOON)
    ended(process)
    backup.tend(NOON + timedelta(minutes=1))
    assert "The backup failed: the disk is full" in said[-1]
    backup.tend(NOON + timedelta(minutes=30))
    assert process.process is None
    backup.tend(NOON + timedelta(minutes=62))
    assert process.process is not None
    backup.stop()
    assert process.process is None


def test_a_folder_that_gives_no_answer_is_said_and_asked_again_after_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, process, said = backup_by(tmp_path, "print('done')")

    def stale(_: Path) -> bool:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_dir", stale)
        backup.tend(NOON)
        backup.tend(NOON + timedelta(minutes=30))
    assert said == ["No backup could be made: [Errno 116] Stale file handle. The next try is in an hour."]
    backup.tend(NOON + timedelta(minutes=62))
    assert process.process is not None
    backup.stop()


def test_a_clock_that_was_ahead_does_not_put_off_the_next_look(tmp_path: Path) -> None:
    backup, process, said = backup_by(tmp_path, "print('done')")
    (tmp_path / "backups").mkdir()
    ahead = NOON + timedelta(days=400)
    (tmp_path / "backups" / name_of(ahead)).mkdir()
    backup.tend(ahead)
    assert said == []
    backup.tend(NOON)
    assert process.process is not None
    backup.stop()
