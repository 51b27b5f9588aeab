import os
from pathlib import Path
from stat import S_IFSOCK

import pytest

from worker.programs import beneath
from worker.programs.beneath import MAX_DEPTH, RefusedFileError, TooManyFilesError, disk_use, plain_file
from worker.runs.folder import RunFolder


@pytest.fixture(params=["openat2", "one folder at a time"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param != "openat2":
        monkeypatch.setattr(beneath, "OPENAT2", 9999)
    folder = tmp_path / "run"
    (folder / "artifacts").mkdir(parents=True)
    (tmp_path / "secret").write_text("of the lab")
    return folder


def read(folder: Path, *parts: str) -> bytes:
    with plain_file(folder, *parts) as file:
        return os.pread(file, 100, 0)


def test_plain_file_is_read(run: Path) -> None:
    (run / "artifacts" / "a.txt").write_text("words")
    assert read(run, "artifacts", "a.txt") == b"words"


def test_nothing_but_a_plain_file_is_opened(run: Path) -> None:
    artifacts = run / "artifacts"
    (artifacts / "link").symlink_to("/etc/passwd")
    (artifacts / "relative").symlink_to("../../secret")
    (artifacts / "folder").mkdir()
    os.mkfifo(artifacts / "fifo")
    (run / "other").write_text("mine")
    (artifacts / "second-name").hardlink_to(run / "other")
    os.mknod(artifacts / "socket", S_IFSOCK | 0o600)
    for name in ("link", "relative", "folder", "fifo", "second-name", "socket", "../../secret"):
        with pytest.raises(RefusedFileError):
            read(run, "artifacts", name)
    with pytest.raises(FileNotFoundError):
        read(run, "artifacts", "absent")


def test_folder_that_became_a_link_leads_nowhere(run: Path, tmp_path: Path) -> None:
    (run / "artifacts").rmdir()
    (run / "artifacts").symlink_to(tmp_path)
    with pytest.raises(RefusedFileError):
        read(run, "artifacts", "secret")
    with pytest.raises(OSError, match=r"link|directory"):
        read(run / "artifacts", "secret")


def test_device_is_refused(run: Path) -> None:
    try:
        os.mknod(run / "zero", 0o20666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(RefusedFileError):
        read(run, "zero")


def test_disk_use_counts_each_file_once_and_follows_nothing(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_bytes(bytes(1 << 20))
    before = disk_use(tmp_path, max_entries=10)
    assert 1 << 20 <= before < 2 << 20
    (tmp_path / "again").hardlink_to(tmp_path / "below" / "a")
    (tmp_path / "system").symlink_to("/usr")
    (tmp_path / "hole").touch()
    os.truncate(tmp_path / "hole", 1 << 40)
    assert disk_use(tmp_path, max_entries=10) < before + 65536


def test_too_many_files_and_folders_too_deep_are_told(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / str(number)).touch()
    with pytest.raises(TooManyFilesError, match="files"):
        disk_use(tmp_path, max_entries=5)
    tmp_path.joinpath(*["d"] * (MAX_DEPTH + 2)).mkdir(parents=True)
    with pytest.raises(TooManyFilesError, match="deep"):
        disk_use(tmp_path, max_entries=1000)


def test_folder_of_a_program_is_deleted_however_deep_and_closed_it_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", is_sandboxed=True)
    folder.make()
    at = os.open(folder.work, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d" * 100, dir_fd=at)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    (folder.work / "closed").mkdir()
    (folder.work / "closed" / "a").touch()
    (folder.work / "closed").chmod(0)
    folder.remove()
    assert not folder.path.exists()
