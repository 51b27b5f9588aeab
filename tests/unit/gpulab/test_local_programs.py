"""What of a folder becomes a program, and what is said before anything is sent."""

import os
import subprocess
from pathlib import Path

import pytest

from gpulab.client.programs.folder import read_folder
from gpulab.client.programs.git import GitState, git_state
from gpulab.client.programs.local import doubts_about, local_run
from gpulab.errors import ConfigurationError
from gpulab.program_files import ProgramFilesError, ProgramLimits

LIMITS = ProgramLimits(max_bytes=10_000, max_files=10)


def write(folder: Path, *paths: str, size: int = 1) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x" * size)


def read(folder: Path) -> list[str]:
    return list(read_folder(folder, LIMITS).contents)


def test_folder_is_sent_without_what_is_never_part_of_a_program(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "src/model.py", ".git/HEAD", ".venv/bin/python", "src/__pycache__/model.pyc")
    write(tmp_path, ".ipynb_checkpoints/a.ipynb", ".hidden")
    assert read(tmp_path) == [".hidden", "src/model.py", "train.py"]


def test_ignore_file_is_written_as_gitignore(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "runs/a.log", "b.log", "keep.log", "data/x.bin", "src/data/y.bin", "größe.txt")
    rules = "# comment\n*.log\n!keep.log\n/data/\ngrö*\n"
    (tmp_path / ".gpulabignore").write_text(rules, encoding="utf-8")
    assert read(tmp_path) == ["keep.log", "src/data/y.bin", "train.py"]


def test_ignored_folder_is_not_looked_into(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "data/keep.txt")
    (tmp_path / "data" / "broken").symlink_to("nowhere")
    (tmp_path / ".gpulabignore").write_text("data/\n!data/keep.txt\n", encoding="utf-8")
    assert read(tmp_path) == ["train.py"]


def test_too_much_names_the_largest_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "a.bin", size=100)
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "huge.bin").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ProgramFilesError, match=r"largest files are 'data/huge.bin' \(1,099,5.* \.gpulabignore"):
        read(tmp_path)
    (tmp_path / "data" / "huge.bin").unlink()
    write(tmp_path, *(f"data/{n}.txt" for n in range(20)))
    with pytest.raises(ProgramFilesError, match=r"more than 10 files, most of them in data/ \(20 files\)"):
        read(tmp_path)


@pytest.mark.parametrize("target", ["train.py", "folder"])
def test_link_is_refused_by_its_name(tmp_path: Path, target: str) -> None:
    write(tmp_path, "train.py", "folder/a.py")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(ProgramFilesError, match="'link' is a link"):
        read(tmp_path)
    (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ProgramFilesError, match="'pipe' is not a plain file"):
        read(tmp_path)


def test_commit_is_noted_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        own = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(own, check=True, capture_output=True, text=True).stdout.strip()

    write(tmp_path, "train.py")
    assert git_state(tmp_path) == GitState(None, None)
    git("init", "-q")
    assert git_state(tmp_path) == GitState(None, None)
    git("add", ".")
    git("commit", "-qm", "one")
    assert git_state(tmp_path) == GitState(git("rev-parse", "HEAD"), False)
    write(tmp_path, "new.py")
    assert git_state(tmp_path).dirty is True


def test_script_notebook_and_folder_become_jobs(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "lesson.ipynb")
    script = local_run(tmp_path / "train.py", ["--lr", "0.1"], limits=LIMITS, datasets=["mnist"])
    assert (script.experiment, list(script.program.contents), script.name) == ("script", ["train.py"], "train.py")
    assert script.spec == {
        "command": ["python", "train.py"],
        "arguments": ["--lr", "0.1"],
        "parameters": {},
        "datasets": ["mnist"],
    }
    notebook = local_run(tmp_path / "lesson.ipynb", [], limits=LIMITS, parameters={"lr": 0.1})
    assert (notebook.experiment, notebook.spec["notebook"]) == ("notebook", "lesson.ipynb")
    assert notebook.spec["parameters"] == {"lr": 0.1}
    folder = local_run(tmp_path, ["python", "train.py", "--lr", "0.1"], limits=LIMITS)
    assert (folder.name, folder.spec["command"]) == (tmp_path.name, ["python", "train.py", "--lr", "0.1"])
    assert list(folder.program.contents) == ["lesson.ipynb", "train.py"]


def test_script_that_imports_its_neighbour_is_told_to_send_the_folder(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import os\nfrom helper.deep import x\n")
    write(tmp_path, "other.py")
    assert local_run(tmp_path / "train.py", [], limits=LIMITS).program.files
    write(tmp_path, "helper/__init__.py")
    with pytest.raises(ConfigurationError, match=r"imports helper/__init__.py.* -- python train.py"):
        local_run(tmp_path / "train.py", [], limits=LIMITS)


@pytest.mark.parametrize(
    ("target", "arguments", "words"),
    [
        ("absent.py", [], "does not exist"),
        ("notes.txt", [], "is not a program"),
        ("lesson.ipynb", ["--lr"], "a notebook takes parameters"),
        (".", [], "name the command"),
        ("big.py", [], "larger than 10,000 bytes"),
    ],
)
def test_what_cannot_be_sent_is_said(tmp_path: Path, target: str, arguments: list[str], words: str) -> None:
    write(tmp_path, "notes.txt", "lesson.ipynb")
    write(tmp_path, "big.py", size=10_001)
    with pytest.raises(ConfigurationError, match=words):
        local_run(tmp_path / target, arguments, limits=LIMITS)


@pytest.mark.parametrize(
    ("content", "number"),
    [
        ('{"cells": [{"cell_type": "code", "source": "lr = 1", "metadata": {"tags": ["parameters"]}}]}', 1),
        ('{"cells": [1, {"cell_type": "code", "source": ["print(rate)"]}]}', 0),
        ('{"cells": 3}', 0),
        ("[]", 0),
        ("no JSON", 0),
    ],
)
def test_notebook_that_does_not_know_a_parameter_is_noticed_before_it_is_sent(
    tmp_path: Path, content: str, number: int
) -> None:
    (tmp_path / "lesson.ipynb").write_text(content)
    assert len(doubts_about(tmp_path / "lesson.ipynb", {"rate": 2})) == number
    assert doubts_about(tmp_path / "train.py", {"rate": 2}) == []
