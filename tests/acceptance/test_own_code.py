"""A student's own code, from a clean client to points: the programs of docs/examples, handed in and checked."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from sandbox import capability, mend
from tests.lab import ROOT, Lab, gpulab_command, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(capability() is not None, reason=f"{capability()}; {mend(capability() or '')}"),
]
EXAMPLES = ROOT / "docs" / "examples"
ASSIGNMENT = "Memory of a residual network"


class Terminal:
    """Somebody's terminal: the client, an address and a token."""

    def __init__(self, lab: Lab, token: str, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "GPULAB_URL": lab.url,
            "GPULAB_TOKEN": token,
        }

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [*gpulab_command(), *words],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout

    def run(self, *words: str) -> str:
        identifier: str = json.loads(self("run", "--json", "--no-follow", *words))["id"]
        return identifier


@pytest.mark.timeout(180)
def test_examples_run_are_handed_in_and_get_points(lab: Lab, tmp_path: Path) -> None:
    staff = Terminal(lab, lab.token, tmp_path / "staff")
    made = lab.client.post("/v1/users", json={"name": "Ada of own code"}).json()
    student = Terminal(lab, made["token"], tmp_path / "student")
    shutil.copytree(EXAMPLES, student.folder / "examples")
    staff("assignments", "create", ASSIGNMENT, "--deadline", "2999-01-01", "--experiment", "script")
    staff("assignments", "set-starter", ASSIGNMENT, str(EXAMPLES / "resnet-memory"), "--", "python", "train.py")
    staff("assignments", "set-check", ASSIGNMENT, str(EXAMPLES / "check"), "--", "python", "check.py")

    dropout = student.run("examples/dropout.ipynb", "-p", "steps=100", "-p", "lr=0.1")
    edges = student.run("examples/edges.ipynb", "-p", "steps=20")
    student("assignments", "starter", ASSIGNMENT, "--out", "mine")
    memory = student.run("mine", "--", "python", "train.py", "--batch", "2", "--steps", "2")
    for job_id, check in ((dropout, _dropout), (edges, _edges), (memory, _memory)):
        check(lab.wait_for(job_id, "succeeded"))
        student("get", job_id, "--to", job_id)
    shown = nbformat.read(student.folder / dropout / "dropout.ipynb", as_version=4)
    assert [cell["metadata"].get("tags") for cell in shown.cells[1:3]] == [["parameters"], ["injected-parameters"]]
    assert (student.folder / dropout / "weights.png").read_bytes().startswith(b"\x89PNG")
    assert (student.folder / edges / "kernel.pt").stat().st_size > 0

    student("assignments", "hand-in", ASSIGNMENT, memory)
    row = wait_until(lambda: _graded(staff), what="the check")
    assert (row["name"], row["final_points"], row["check_words"]) == ("Ada of own code", "10", "all correct")
    assert row["job_id"] == memory


def _dropout(job: dict[str, Any]) -> None:
    assert job["result"]["lr"] == 0.1
    assert job["result"]["distance"] < 0.5


def _edges(job: dict[str, Any]) -> None:
    assert job["result"].keys() == {"loss", "kernel_error"}


def _memory(job: dict[str, Any]) -> None:
    assert job["result"]["weights_bytes"] == job["result"]["optimizer_bytes"] > 0
    assert job["program"]["name"] == "mine"


def _graded(staff: Callable[..., str]) -> dict[str, str] | None:
    rows = csv.DictReader(staff("assignments", "grades", ASSIGNMENT).splitlines())
    return next((row for row in rows if row["check"] == "done"), None)
