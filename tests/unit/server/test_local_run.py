"""`gpulab run --local`, with the run itself played by the test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.hosting import local
from experiments.hosting.wire import Disturbed, Ending, Failed, Progress, RunOrder, Stopped, Succeeded
from gpulab.cli import main, server_side

Run = Callable[..., tuple[int, str, str]]
ENDINGS: dict[str, Ending | None] = {
    "result": Succeeded(type="result", value={"seed": 3, "curve": list(range(1000))}),
    "diverged": Failed.model_validate({"type": "error", "cause": "diverged", "message": "loss is nan"}),
    "stopped": Stopped(type="stopped"),
    "disk": Disturbed(type="disturbed", message="no space left on device"),
    "nothing": None,
}


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[RunOrder]:
    """What was to be run; the name of a run's folder says how it ends."""
    found: list[RunOrder] = []

    def play(folder: Path, order: RunOrder, take: Callable[[Any], object] | None = None) -> Ending | None:
        found.append(order)
        if take is not None:
            take(Progress(type="progress", fraction=0.5, message="half"))
        return ENDINGS.get(folder.name, ENDINGS["result"])

    monkeypatch.setattr(local, "run_in", play)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def run(orders: list[RunOrder], capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["run", *arguments, "--local"])
        return (code, *capsys.readouterr())

    return command


def test_run_prints_progress_and_the_result(run: Run, orders: list[RunOrder]) -> None:
    Path("spec.yaml").write_text("experiment: dropout-linear\nseed: 3\nspec: {dropout: 0.3}\n")
    code, out, err = run("spec.yaml", "--out", "result")
    assert (code, err) == (0, " 50% half\n")
    assert [line.split()[:2] for line in out.splitlines()[:2]] == [["state", "succeeded"], ["result.seed", "3"]]
    assert out.splitlines()[-1].split() == ["folder", "result"]
    assert (orders[0].seed, orders[0].spec["dropout"], orders[0].device) == (3, 0.3, "cpu")


def test_run_as_json_is_one_object(run: Run, orders: list[RunOrder]) -> None:
    code, out, err = run("dropout-linear", "--seed", "4", "--json", "--out", "result")
    assert (code, err) == (0, "")
    outcome = json.loads(out)
    assert (outcome["state"], outcome["out"], orders[0].seed) == ("succeeded", "result", 4)


def test_each_run_gets_a_folder_of_its_own_when_none_is_named(run: Run) -> None:
    out = run("dropout-linear")[1]
    assert out.splitlines()[-1].split()[1].startswith("runs/dropout-linear-")


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("diverged", "diverged: loss is nan"),
        ("stopped", "cancelled"),
        ("disk", "lost: no space left on device"),
        ("nothing", "ended without a result"),
    ],
)
def test_run_that_does_not_succeed_exits_1_and_says_why(run: Run, ending: str, words: str) -> None:
    code, out, _ = run("dropout-linear", "--out", ending)
    assert code == 1
    assert words in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing-such"], "unknown experiment 'nothing-such'; known: "),
        (["dropout-linear", "-p", "dropout=7"], "dropout"),
        (["dropout-linear", "--out", "full"], "full is not empty"),
    ],
)
def test_what_cannot_be_run_exits_2(run: Run, orders: list[RunOrder], arguments: list[str], words: str) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    code, _, err = run(*arguments)
    assert (code, orders) == (2, [])
    assert words in err


def test_students_installation_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_side, "INSTALLED", False)
    code, _, err = run("dropout-linear")
    assert code == 2
    assert "needs a checkout of gpulab; to run in the lab use `gpulab submit`" in err
