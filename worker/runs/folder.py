"""Where an attempt lives on this node while it runs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from uuid import UUID

from experiments.contract import OUTPUT_FILE

INSIDE = "inside"
WORK = "work"
REMOVE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One attempt's. What a student's program can write is in separate folders: the samples are the worker's."""

    path: Path
    is_sandboxed: bool = False

    @property
    def written_by_run(self) -> Path:
        """Where its records, artifacts and checkpoints are."""
        return self.path / INSIDE if self.is_sandboxed else self.path

    @property
    def work(self) -> Path:
        """The working directory of a student's program."""
        return self.path / WORK

    @property
    def output(self) -> Path:
        return self.path / OUTPUT_FILE

    def make(self) -> None:
        """Begin with empty folders."""
        self.remove()
        self.written_by_run.mkdir(parents=True)
        if self.is_sandboxed:
            self.work.mkdir()

    def remove(self) -> None:
        """Delete all of it, however deep or closed it is."""
        if self.is_sandboxed and self.path.exists():
            # Python's own way recurses, and a folder that its owner closed stops it.
            for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
                subprocess.run([*command, "--", self.path], check=False, capture_output=True, timeout=REMOVE_SECONDS)
        rmtree(self.path, ignore_errors=True)


def run_folder(runs: Path, job_id: UUID, attempt: int, *, is_sandboxed: bool = False) -> RunFolder:
    """The folder of an attempt that begins."""
    return RunFolder(runs / f"{job_id}-{attempt}", is_sandboxed)


def found_folder(path: Path) -> RunFolder:
    """A folder that another worker left."""
    return RunFolder(path, (path / INSIDE).is_dir())
