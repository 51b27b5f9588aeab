"""Files below `outputs/` become artifacts, and nothing else does."""

import json
import os
from pathlib import Path

import pytest

from experiments.hosting.run_directory import RunDirectory
from experiments.program_host.collecting import outputs
from experiments.program_host.collecting.outputs import Outputs


class Watched:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work" / "outputs"
        self.folder.mkdir(parents=True)
        self.run = RunDirectory(folder / "run")
        self.outputs = Outputs(self.run, folder / "work")

    def names(self) -> list[str]:
        lines = (self.run.folder / "records.ndjson").read_text().splitlines()
        return [record["name"] for record in map(json.loads, lines) if record["type"] == "artifact"]

    def kept(self, name: str) -> bytes:
        return (self.run.folder / "artifacts" / name).read_bytes()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_file_is_kept_once_it_rests_and_again_when_it_changed(watched: Watched) -> None:
    path = watched.folder / "log.txt"
    path.write_text("a")
    watched.outputs.turn()
    assert watched.names() == []
    for _ in range(3):
        watched.outputs.turn()
    assert watched.names() == ["log.txt"]
    path.write_text("ab")
    watched.outputs.finish()
    assert watched.names() == ["log.txt", "log.txt"]
    assert watched.kept("log.txt") == b"ab"
    watched.outputs.finish()
    assert len(watched.names()) == 2


def test_names_are_flat_and_never_collide(watched: Watched) -> None:
    for name in ("a/b.png", "a-b.png", "ä/ö ü.tar.gz", ".hidden", "noending", "x." + "y" * 60, "n" * 200 + ".txt"):
        path = watched.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    watched.outputs.finish()
    names = watched.names()
    assert len(set(names)) == len(names) == 7
    assert {"a-b.png", "a-b-2.png", "hidden", "noending"} <= set(names)
    assert {watched.kept("a-b.png"), watched.kept("a-b-2.png")} == {b"a/b.png", b"a-b.png"}


def test_links_pipes_and_folders_are_left_alone(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (watched.folder / "link.txt").symlink_to(tmp_path / "secret")
    (watched.folder / "folder").symlink_to(tmp_path)
    os.mkfifo(watched.folder / "pipe")
    (watched.folder / "dangling").symlink_to("nowhere")
    watched.outputs.finish()
    assert watched.names() == []


def test_folder_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("s")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "outputs").symlink_to(tmp_path / "elsewhere")
    watched = Outputs(run := RunDirectory(tmp_path / "run"), tmp_path / "work")
    watched.finish()
    assert "secret" not in (run.folder / "records.ndjson").read_text()
    assert list((run.folder / "artifacts").iterdir()) == []


def test_number_of_files_is_bounded(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MAX_FILES", 5)
    for number in range(9):
        (watched.folder / f"{number}.txt").write_text("x")
    watched.outputs.turn()
    watched.outputs.finish()
    assert len(watched.names()) == 5
    assert "more than 5 files" in (watched.run.folder / "records.ndjson").read_text()
