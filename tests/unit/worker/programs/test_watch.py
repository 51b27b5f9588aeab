"""What the watch sees of a program's processes. integration/core/test_sandboxed_runs.py tries the limits for real."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import wait_until
from worker.programs import watch
from worker.programs.watch import (
    HiddenProcessError,
    ProgramBreach,
    ProgramLimits,
    ProgramWatch,
    TooManyDescriptorsError,
)
from worker.runs.folder import RunFolder

LIMITS = ProgramLimits(processes=100, cpu_seconds=0, disk_bytes=0, files=10**9, output_bytes=0, records_bytes=0)


@pytest.fixture(autouse=True)
def no_network_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of these tests have the machine's network."""
    monkeypatch.setattr(watch, "MAX_SOCKETS", 10**9)


@pytest.fixture
def tree() -> Iterator[int]:
    """Processes as bubblewrap makes them: two of its own, and the program."""
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'input()'])"
    outer = f"import subprocess, sys\nprint(flush=True)\nsubprocess.run([sys.executable, '-c', {code!r}])"
    process = subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.communicate()


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does it to all but root where a process runs a program that its owner cannot read."""
    scandir = os.scandir

    def refused(path: Any) -> Any:
        if isinstance(path, str) and path.endswith("/fd"):
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr(watch.os, "scandir", refused)


def test_program_that_hides_its_open_files_is_ended(tree: int, tmp_path: Path, locked: None) -> None:
    folder = RunFolder(tmp_path / "run", is_sandboxed=True)
    folder.make()
    found: list[ProgramBreach] = []
    watched = ProgramWatch(LIMITS)
    watched._watched[tree] = watch._Watched(tree, folder, found.append)

    def ended() -> bool:
        watched._watched[tree].disk_at = 0.0
        watched.look()
        return bool(found)

    wait_until(ended, what="the end of the program, whose processes come one after the other")
    assert [breach.message for breach in found] == [
        "one of its processes hid its open files, so these could not be counted"
    ]


def test_process_that_has_ended_hides_nothing(locked: None) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert watch._deleted_bytes([ended.pid], 0) == 0
    with pytest.raises(HiddenProcessError):
        watch._deleted_bytes([os.getpid()], 0)
    ended.wait()


def test_open_files_of_all_processes_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    own = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(watch, "MAX_DESCRIPTORS", own + 10)
    assert watch._deleted_bytes([os.getpid()], 0) == 0
    with pytest.raises(TooManyDescriptorsError):
        watch._deleted_bytes([os.getpid()] * 2, 0)
