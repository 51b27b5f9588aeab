"""Logs of the lab's processes stay bounded while their writers keep them open."""

import os
import time
from pathlib import Path

import pytest

from server.log_files import DAY_SECONDS, MAX_LOG_DAYS, bound_log


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.log_files.MAX_LOG_BYTES", 100)


def test_a_large_log_is_emptied_under_its_writer_and_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "postgres.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"a" * 500 + b"the end")
        bound_log(path)
        assert path.stat().st_size == 0
        writer.write(b"more")
    assert path.read_bytes() == b"more"
    kept = (tmp_path / "postgres.log.1").read_bytes()
    assert kept.endswith(b"the end")
    assert len(kept) == 100


def test_a_small_log_stays_until_it_is_old(tmp_path: Path) -> None:
    path = tmp_path / "redis.log"
    path.write_bytes(b"one line")
    bound_log(path)
    assert path.read_bytes() == b"one line"
    bound_log(path, now=time.time() + (MAX_LOG_DAYS + 1) * DAY_SECONDS)
    assert path.read_bytes() == b""
    assert (tmp_path / "redis.log.1").read_bytes() == b"one line"


def test_a_disk_without_room_for_the_old_log_still_gets_the_log_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("server.log_files.shutil.copyfileobj", full)
    path = tmp_path / "api.log"
    path.write_bytes(b"x" * 500)
    bound_log(path)
    assert path.stat().st_size == 0


def test_a_log_that_is_not_there_is_no_failure(tmp_path: Path) -> None:
    bound_log(tmp_path / "worker.log")
    assert list(tmp_path.iterdir()) == []


def test_a_log_whose_folder_takes_no_file_ends_nobody_and_is_still_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "touch", full)
    path = tmp_path / "api.log"
    path.write_bytes(b"one line")
    bound_log(path)
    assert path.read_bytes() == b"one line"
    path.write_bytes(b"x" * 500)
    bound_log(path)
    assert path.stat().st_size == 0
    assert (tmp_path / "api.log.1").stat().st_size == 100
