"""A folder of data sets as administrators leave it: what cannot be read is skipped and named, the rest is there."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.datasets import inventory
from experiments.datasets.inventory import take_inventory

ROOT = Path(__file__).parents[3]
AS_NOBODY = """
import os, sys
from experiments.datasets.inventory import Path, take_inventory
os.setgroups([]); os.setgid(65534); os.setuid(65534)
found = take_inventory(Path(sys.argv[1]))
print(found.datasets, found.skipped)
"""


def image_folder(folder: Path, name: str) -> Path:
    for split in ("train", "test"):
        (folder / name / split / "cat").mkdir(parents=True)
        (folder / name / split / "cat" / "1.png").touch()
    return folder / name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image_folder(tmp_path, "good")
    return tmp_path


def test_links_that_lead_nowhere_or_in_a_circle(folder: Path) -> None:
    (folder / "gone").symlink_to("/nowhere/at/all")
    (folder / "round").symlink_to("round")
    image_folder(folder, "inner")
    (folder / "inner/val").symlink_to("val")
    (folder / "fine").symlink_to("good")
    found = take_inventory(folder)
    assert set(found.datasets) == {"digits", "fine", "good", "inner"}
    assert found.skipped.keys() == {"gone", "round"}
    assert "No such file" in found.skipped["gone"]
    assert "symbolic links" in found.skipped["round"]


def test_names_that_are_not_utf8_or_fit_no_spec(folder: Path) -> None:
    image_folder(folder, os.fsdecode(b"caf\xe9"))
    image_folder(folder, "two words")
    found = take_inventory(folder)
    assert set(found.datasets) == {"digits", "good"}
    assert found.skipped.keys() == {"caf\\xe9", "two words"}
    for name, reason in found.skipped.items():
        (name + reason).encode()


@pytest.mark.parametrize("fault", [errno.EACCES, errno.ESTALE, errno.EIO, errno.ENOTCONN])
def test_file_system_fails(folder: Path, fault: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(folder, "broken")
    scandir = os.scandir

    def failing(path: Path) -> object:
        if "broken" in str(path):
            raise OSError(fault, os.strerror(fault), str(path))
        return scandir(path)

    monkeypatch.setattr(inventory.os, "scandir", failing)
    found = take_inventory(folder)
    assert set(found.datasets) == {"digits", "good"}
    assert os.strerror(fault) in found.skipped["broken"]


def test_folder_itself_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path) -> object:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(inventory.os, "scandir", failing)
    found = take_inventory(folder)
    assert found.datasets == ("digits",)
    assert list(found.skipped) == [str(folder)]


def test_data_set_vanishes_while_it_is_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(folder, "short-lived")
    look = inventory._has_a_picture

    def too_late(split: Path) -> bool:
        if "short-lived" in str(split):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(split))
        return look(split)

    monkeypatch.setattr(inventory, "_has_a_picture", too_late)
    assert set(take_inventory(folder).datasets) == {"digits", "good"}


@pytest.mark.skipif(os.geteuid() != 0, reason="closes folders to another user, which takes root")
@pytest.mark.parametrize("closed", ["secret", "secret/train", "secret/test/cat", "cifar-10-batches-py"])
def test_folders_of_another_owner_are_skipped(tmp_path_factory: pytest.TempPathFactory, closed: str) -> None:
    folder = Path("/tmp") / f"inventory-{os.getpid()}"  # pytest's own folders are closed to others
    try:
        image_folder(folder, "good")
        image_folder(folder, "secret")
        (folder / "cifar-10-batches-py").mkdir()
        (folder / "cifar-10-batches-py/batches.meta").touch()
        (folder / closed).chmod(0o700)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(folder)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "'good'" in done.stdout
        assert f"'{closed.partition('/')[0]}': 'Permission denied" in done.stdout
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
