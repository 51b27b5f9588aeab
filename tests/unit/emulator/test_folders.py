"""What a killed process left in the temporary folder is removed by the next one, and nothing else is."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emulator.folders import PREFIX, new_folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_folder_of_a_killed_process_is_removed_by_the_next(place: Path) -> None:
    code = (
        "import os; from emulator.folders import new_folder; print(new_folder(), flush=True); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    orphan = Path(done.stdout.strip())
    assert orphan.parent == place
    assert orphan.is_dir()
    new_folder()
    assert not orphan.exists()


def test_folders_of_the_living_and_of_others_stay(place: Path) -> None:
    own = new_folder()
    others = [place / name for name in (f"{PREFIX}{os.getppid()}-x", f"{PREFIX}not-a-pid", "gpulab-other")]
    for folder in others:
        folder.mkdir()
    assert new_folder() != own
    assert all(folder.exists() for folder in (own, *others))
