"""The lab's folder: closed to everybody else, whether or not it was there before."""

import os
import stat
from pathlib import Path

import pytest

from server.child_process import FolderLock
from server.up import LabError, LabOptions, LocalLab

FOLDERS = ("logs", "artifacts", "runs", "cache", "datasets")


@pytest.mark.parametrize("was_there", [False, True])
def test_folders_are_private(tmp_path: Path, was_there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lab"
    if was_there:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, mode=0o755)
            (folder / name).chmod(0o755)
    masks: list[int] = []
    monkeypatch.setattr("os.umask", masks.append)
    # Another lab on the folder ends this one early.
    folder.mkdir(exist_ok=True)
    lock = FolderLock(folder / "lab.lock")
    lock.acquire()
    try:
        with pytest.raises(LabError, match="another lab"):
            LocalLab(LabOptions(folder), lambda _: None).run(lambda _: None)
    finally:
        lock.release()
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in FOLDERS} == {0o700}
    assert masks == [0o077]
    assert os.access(folder, os.W_OK)


def test_folder_of_data_sets_that_is_not_there_yet_is_said_and_does_not_end_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise LabError("far enough")

    monkeypatch.setattr("os.umask", lambda _: 0o022)
    monkeypatch.setattr(LocalLab, "_start", stop)
    said: list[str] = []
    options = LabOptions(tmp_path / "lab", port=0, datasets=tmp_path / "not mounted")
    with pytest.raises(LabError, match="far enough"):
        LocalLab(options, said.append).run(lambda _: None)
    assert said == [f"{tmp_path / 'not mounted'} is no folder yet: there are no data sets until it is"]
