"""What a node's folders take, where a file system gives no answer."""

import errno
import os
from pathlib import Path

import pytest

from worker.folder_watch import FolderWatch


def test_a_folder_that_gives_no_answer_is_left_out_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "cache").mkdir()
    real = Path.is_dir

    def stale(path: Path) -> bool:
        if path.name == "cache":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(path)

    monkeypatch.setattr(Path, "is_dir", stale)
    watch = FolderWatch({"runs": tmp_path / "runs", "cache": tmp_path / "cache"})
    watch.look()
    assert list(watch.latest()) == ["runs"]
