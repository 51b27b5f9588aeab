"""What the operator reads where the system refuses the lab's folder."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.child_process import FolderLock
from server.folder_trouble import refused_by_system, try_to_write
from server.up import LabError, LabOptions, LocalLab


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EDQUOT, "Disk quota exceeded; free some space, or raise the quota"),
        (errno.EROFS, "Read-only file system"),
        (errno.ENOLCK, "No locks available; this file system cannot lock files, and a lab needs a local disk"),
    ],
)
def test_each_trouble_has_its_remedy(number: int, words: str) -> None:
    error = OSError(number, os.strerror(number), "/srv/lab/logs/api.log")
    assert refused_by_system(error, Path("/srv/lab")).startswith(f"/srv/lab/logs/api.log cannot be written: {words}")


def test_what_another_account_left_is_named_with_the_command_that_takes_it_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "my lab"
    left.touch()
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 4321)
    words = refused_by_system(PermissionError(errno.EACCES, "Permission denied", str(left / "lab.lock")), left)
    assert "it belongs to" in words
    assert words.endswith(f"sudo chown -R {os.getuid() + 4321} '{left}'")


def test_lab_on_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FolderLock) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), str(self.path))

    monkeypatch.setattr(FolderLock, "acquire", refuse)
    monkeypatch.setattr("os.umask", lambda _: 0o022)
    with pytest.raises(LabError, match="cannot lock files"):
        LocalLab(LabOptions(tmp_path / "lab"), lambda _: None).run(lambda _: None)


def test_many_may_try_a_shared_folder_at_the_same_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(try_to_write, [tmp_path] * 400))
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_is_named_itself() -> None:
    folder = Path("/proc/self")
    with pytest.raises(OSError, match="/proc/self") as refused:
        try_to_write(folder)
    assert refused_by_system(refused.value, folder).startswith("/proc/self cannot be written: ")
