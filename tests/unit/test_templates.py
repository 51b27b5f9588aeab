"""A process that a template forked is, to everybody else, the process that an interpreter would have been."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.templates import MARKER, ROOT, Forked, Templates
from worker.runs.orphans import marked

ZYGOTE = "experiments.hosting.zygote"
MARK = "/nowhere/runs:templates-test"


@pytest.fixture(scope="module")
def templates() -> Iterator[Templates]:
    made = Templates({**os.environ, "PYTHONPATH": str(ROOT)})
    yield made
    made.stop()


@pytest.fixture(scope="module")
def address(templates: Templates) -> str:
    """A template of zygotes, without torch."""
    return templates.address("light", ["emulator.loading"])


@pytest.fixture
def control() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def zygote(address: str, control: socket.socket, ready: int) -> Forked:
    request = {
        "main": ZYGOTE,
        "argv": [ZYGOTE],
        "arguments": ["json", "runs"],
        "env": {**os.environ, MARKER: MARK},
    }
    return Forked(address, request, [1, 2, control.fileno(), ready])


def test_zygote_bears_its_mark_for_others_and_ends_with_its_worker(
    address: str, control: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = control
    read, write = os.pipe()
    process = zygote(address, theirs, write)
    theirs.close()
    os.close(write)
    assert os.read(read, 1) == b"y"
    os.close(read)
    assert process.poll() is None
    assert list(marked(MARK)) == [process.pid]
    ours.close()
    assert process.wait(30) == 0
    assert list(marked(MARK)) == []


def test_killed_process_says_so(address: str, control: tuple[socket.socket, socket.socket]) -> None:
    read, write = os.pipe()
    process = zygote(address, control[1], write)
    process.kill()
    assert process.wait(30) == process.poll() == -signal.SIGKILL
    os.close(read)
    os.close(write)


def test_error_is_written_where_its_output_goes(address: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = Forked(
            address, {"main": "nowhere.at.all", "argv": [sys.executable], "env": {}}, [log.fileno(), log.fileno()]
        )
        assert process.wait(30) == 1
    assert "ModuleNotFoundError: No module named 'nowhere'" in (tmp_path / "log").read_text()


def test_command_has_the_folder_the_input_the_environment_and_the_status_of_its_caller(
    templates: Templates, tmp_path: Path
) -> None:
    command = [*templates.command(["tests.fakes.echo"]), "an argument"]
    env = {"ONLY": "this", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=tmp_path, env=env, input="typed", capture_output=True, text=True, timeout=30)
    said = {"arguments": ["an argument"], "folder": str(tmp_path), "environment": env, "input": "typed"}
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (3, said, "and an error\n")


@pytest.mark.parametrize(
    ("changed", "is_forked"),
    [
        ({"GPULAB_SLOTS": "7"}, True),
        ({"LD_LIBRARY_PATH": "/of/a/driver"}, False),
        ({"PYTHONPATH": "/of/a/plugin"}, False),
        ({"GPULAB_EMULATE": "T4"}, False),
    ],
)
def test_what_needs_a_fresh_interpreter_gets_one(changed: dict[str, str], is_forked: bool) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": "x"}
    templates = Templates(environment)
    assert templates.stand_in_for(environment | changed) is is_forked
    templates.stop()
