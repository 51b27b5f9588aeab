"""`gpulab reproduce` as a reader of the homework would use it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import capability
from server.child_process import FolderLock
from server.commands.reproduce import shown
from tests.lab import Lab, gpulab_command, processes_below, with_forked_zygotes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def reproduce(tmp_path: Path) -> Run:
    def run(*arguments: str, lab: Lab | None = None) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GPULAB_")}
        environment = with_forked_zygotes({**environment, "HOME": str(tmp_path)})
        if lab is not None:
            environment |= {"GPULAB_URL": lab.url, "GPULAB_TOKEN": lab.token}
        argv = [*gpulab_command(), "reproduce", *arguments]
        return subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)

    return run


def verdicts(done: "subprocess.CompletedProcess[str]") -> dict[tuple[str, str], str]:
    found: dict[str, Any] = json.loads(done.stdout)
    return {(one["question"], one["quantity"]): one["verdict"] for one in found["comparisons"]}


def test_questions_are_reproduced_on_a_lab_and_the_second_time_from_its_finished_runs(
    lab: Lab, reproduce: Run, tmp_path: Path
) -> None:
    asked = ("--only", "1a", "--only", "1b", "--only", "1c", "--json")
    done = reproduce(*asked, "--out", "first", lab=lab)
    assert done.returncode == 0, done.stderr
    found = verdicts(done)
    assert found["1a", "w1"] == "agrees"
    assert found["1b", "w1 after 1000 steps"] == "sheet_is_wrong"
    assert found["1b", "w1 of a model with a bias"] == "agrees"
    assert found["1c", "w2"] == "agrees"
    page = (tmp_path / "first" / "report.html").read_text()
    assert "the bias was left in" in page
    assert "<script" not in page
    assert list((tmp_path / "first").glob("*.png"))

    (tmp_path / "mine.py").write_text(
        "from gpulab import run\nrun.artifact(b'x', 'x.txt')\nrun.result({'answer': 42})\n"
    )
    again = reproduce(*asked, "--out", "second", "--program", "mine.py", lab=lab)
    own_code = json.loads(again.stdout)["own_code"]
    if capability() is None:
        assert (own_code["state"], own_code["result"]["answer"]) == ("succeeded", 42)
        assert (tmp_path / "second" / "own-code" / "x.txt").read_text() == "x"
    else:
        assert "sandbox" in own_code["message"]
    study = lab.client.get(f"/v1/studies/{json.loads(again.stdout)['study_id']}").json()
    assert (study["reused"], study["state"]) == (study["runs"], "succeeded")
    assert verdicts(again) == found


def test_without_a_lab_it_brings_its_own_and_leaves_nothing_running(reproduce: Run, tmp_path: Path) -> None:
    done = reproduce("--only", "1a", "--own", "--data", "data", "--out", "report")
    assert done.returncode == 0, done.stderr
    assert "sheet is wrong" in done.stdout
    assert "gpulab up --data data" in done.stdout
    assert (tmp_path / "report" / "report.md").exists()
    lock = FolderLock(tmp_path / "data" / "lab.lock")
    lock.acquire()
    lock.release()
    assert list(processes_below(tmp_path)) == []


def test_unknown_question_is_refused_before_anything_runs(lab: Lab, reproduce: Run, tmp_path: Path) -> None:
    done = reproduce("--only", "9z", lab=lab)
    assert done.returncode == 3
    assert "template: unknown" in done.stderr
    assert not (tmp_path / "reproduction").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (1.08910891089, "1.0891"),
        (58164298, "58,164,298"),
        ("w = X⁺y", "w = X⁺y"),
        ({"mean": 2.0, "low": 1.5, "high": 2.5, "n": 5, "sd": 1.0}, "2 ± 0.5"),
        ({"mean": 2.0, "low": 2.0, "high": 2.0, "n": 1, "sd": None}, "2"),
    ],
)
def test_values_are_shown_short(value: object, text: str) -> None:
    assert shown(value) == text
