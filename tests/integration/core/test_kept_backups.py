"""A folder of backups: the newest are kept, and nothing of others is ever touched."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from migrations import backup as backing_up
from migrations.backup import BackupError, BackupSettings
from migrations.kept_backups import LOCK, back_up_keeping
from migrations.verify import complete, verify
from tests.integration.core.test_backup import ROOT, lab  # noqa: F401 - a fixture


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A folder of backups in which somebody keeps other things too."""
    parent = tmp_path / "backups"
    parent.mkdir()
    (parent / "notes.txt").write_text("mine")
    (parent / "gpulab-photos").mkdir()
    return parent


def older(settings: BackupSettings, parent: Path, *names: str) -> list[Path]:
    """Whole backups of earlier days."""
    paths = []
    for name in names:
        back = back_up_keeping(settings, parent, 100).folder
        paths.append(back.rename(parent / f"gpulab-{name}T030000Z"))
    return paths


def test_the_newest_are_kept_and_the_others_go(lab: BackupSettings, parent: Path) -> None:  # noqa: F811
    first, second, third = older(lab, parent, "20260101", "20260102", "20260103")
    kept = back_up_keeping(lab, parent, 2)
    assert kept.removed == [first, second]
    assert complete(parent) == [third, kept.folder]
    assert verify(parent) == 0
    assert (parent / "notes.txt").read_text() == "mine"
    assert (parent / "gpulab-photos").is_dir()


def test_what_gpulab_did_not_make_stays(lab: BackupSettings, parent: Path, tmp_path: Path) -> None:  # noqa: F811
    with_notes, with_a_file_below, real = older(lab, parent, "20260101", "20260102", "20260103")
    (with_notes / "README").write_text("why I keep this one")
    (with_a_file_below / "artifacts" / "thesis.pdf").write_bytes(b"mine")
    elsewhere = real.rename(tmp_path / "elsewhere")
    real.symlink_to(elsewhere)
    foreign = parent / "gpulab-20260104T030000Z"
    foreign.mkdir()
    (foreign / "manifest.json").write_text(json.dumps({"name": "a web app"}))
    (parent / "gpulab-20260105T030000Z").mkdir()
    kept = back_up_keeping(lab, parent, 1)
    assert kept.removed == []
    assert kept.left == [with_notes, with_a_file_below]
    assert (elsewhere / "manifest.json").exists()
    assert (foreign / "manifest.json").exists()
    assert (parent / "gpulab-20260105T030000Z").is_dir()


def test_a_half_one_goes_before_the_next_and_does_not_count(
    lab: BackupSettings, parent: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    (whole,) = older(lab, parent, "20260101")
    half = parent / "gpulab-20260102T030000Z.partial"
    (half / "artifacts").mkdir(parents=True)
    (half / "database.dump").write_bytes(b"cut o")
    (parent / "gpulab-20260103T030000Z.partial").write_text("a file of somebody")
    foreign = parent / "gpulab-20260104T030000Z.partial"
    foreign.mkdir()
    (foreign / "thesis.pdf").write_bytes(b"mine")
    real = backing_up.back_up

    def into_its_room(settings: BackupSettings, folder: Path) -> object:
        assert not half.exists()
        return real(settings, folder)

    monkeypatch.setattr("migrations.kept_backups.back_up", into_its_room)
    kept = back_up_keeping(lab, parent, 2)
    assert (kept.removed, kept.left) == ([half], [foreign])
    assert complete(parent) == [whole, kept.folder]
    assert (parent / "gpulab-20260103T030000Z.partial").read_text() == "a file of somebody"


def test_the_new_one_stays_beside_one_of_a_clock_that_was_ahead(lab: BackupSettings, parent: Path) -> None:  # noqa: F811
    first, ahead = older(lab, parent, "20260101", "20300101")
    kept = back_up_keeping(lab, parent, 1)
    assert kept.removed == [first, ahead]
    assert complete(parent) == [kept.folder]


def test_one_that_is_being_written_is_left_alone(lab: BackupSettings, parent: Path) -> None:  # noqa: F811
    busy = parent / "gpulab-20260102T030000Z.partial"
    busy.mkdir()
    with (parent / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="another backup is being written"):
            back_up_keeping(lab, parent, 1)
    assert busy.is_dir()


def test_a_full_disk_leaves_the_old_ones_and_no_half_one(
    lab: BackupSettings, parent: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    (whole,) = older(lab, parent, "20260101")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(backing_up, "_copy_files", full)
    with pytest.raises(OSError, match="No space left"):
        back_up_keeping(lab, parent, 1)
    assert complete(parent) == [whole]
    assert not list(parent.glob("*.partial"))
    assert verify(whole) == 0


def test_a_new_one_that_is_damaged_removes_nothing(
    lab: BackupSettings, parent: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    (whole,) = older(lab, parent, "20260101")
    real = backing_up.back_up

    def rotten(settings: BackupSettings, folder: Path) -> object:
        made = real(settings, folder)
        (folder / "database.dump").write_bytes(b"rot")
        return made

    monkeypatch.setattr("migrations.kept_backups.back_up", rotten)
    with pytest.raises(BackupError, match="is damaged"):
        back_up_keeping(lab, parent, 1)
    assert complete(parent) == [whole]


def test_a_backup_itself_is_not_taken_for_the_folder_of_them(
    lab: BackupSettings, parent: Path  # noqa: F811
) -> None:  # fmt: skip
    (whole,) = older(lab, parent, "20260101")
    with pytest.raises(BackupError, match="is itself a backup"):
        back_up_keeping(lab, whole, 3)


def test_verify_names_what_is_missing_damaged_or_none_of_ours(
    lab: BackupSettings, parent: Path, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:  # fmt: skip
    first, second, third = older(lab, parent, "20260101", "20260102", "20260103")
    assert verify(parent) == 0
    assert "3 of 3 backups can be restored." in capsys.readouterr().out
    next((first / "artifacts").rglob("plot.png")).unlink()
    (second / "database.dump").unlink()
    assert verify(parent) == 2
    said = capsys.readouterr()
    assert "plot.png is missing or damaged" in said.err
    assert "database.dump is missing" in said.err
    assert f"{third}, made on" not in said.err
    for text in ("{", "[]", '{"format": 2}', '"text"'):
        (third / "manifest.json").write_text(text)
        assert verify(third) == 1
    assert verify(parent / "gpulab-photos") == 1
    assert "has no backup" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_says_a_sentence(lab: BackupSettings, tmp_path: Path) -> None:  # noqa: F811
    def gpulab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"DATABASE_URL": lab.database_url, "GPULAB_ARTIFACTS_URL": lab.artifacts_url}
        command = [sys.executable, "-m", "gpulab", "backup", *map(str, arguments)]
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=100)

    made = gpulab("--keep", "3", tmp_path / "all")
    assert made.stdout.startswith("Backed up "), made.stderr
    assert " and 2 files (" in made.stdout
    assert "and verified it." in made.stdout
    checked = gpulab("verify", tmp_path / "all")
    assert " is complete: " in checked.stdout
    assert gpulab("--keep", "0", tmp_path / "all").returncode == 2
