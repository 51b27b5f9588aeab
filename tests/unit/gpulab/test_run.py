"""`from gpulab import run`: records in a lab, prints at home, and the same file in both."""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.hosting.record_reader import Broken, RecordReader
from gpulab import run
from gpulab.run import values

ROOT = Path(__file__).parents[3]
PROGRAM = """
from gpulab import run
for step in range(3):
    run.metrics(step, loss=1 / (step + 1))
run.progress(3, 4, "nearly")
run.artifact(b"a,b", "table.csv")
with run.checkpoint(2) as path:
    path.write_text("state")
assert run.latest_checkpoint() is None and not run.should_stop() and not run.in_lab
assert (run.seed, run.parameters) == (0, {})
assert run.datasets["mnist"].name == "mnist"
run.result({"accuracy": 0.5})
print("goes on")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GPULAB_RUN_DIRECTORY", str(tmp_path))
    run._current.cache_clear()
    yield tmp_path
    run._current().close()  # type: ignore[union-attr]
    run._current.cache_clear()


def records(folder: Path) -> list[Any]:
    found, _ = RecordReader(folder).read(0)
    assert not [each for each in found if isinstance(each, Broken)]
    return found


def test_numbers_of_every_kind_become_a_series(folder: Path) -> None:
    import numpy as np
    import torch

    run.metrics(1, loss=torch.tensor(0.5, requires_grad=True), accuracy=np.float32(0.25))
    run.metrics(np.int64(2), {"loss/train": math.nan, "up": math.inf, "down": -math.inf})
    first, second = records(folder)
    assert (first.step, first.values) == (1, {"loss": 0.5, "accuracy": 0.25})
    assert second.step == 2
    assert math.isnan(second.values["loss/train"])
    assert (second.values["up"], second.values["down"]) == (math.inf, -math.inf)


def test_steps_that_begin_again_are_kept_and_said_once(folder: Path) -> None:
    for step in (0, 1, 0, 1, 0):
        run.metrics(step, loss=1.0)
        run.metrics(7, other=1.0)
    found = records(folder)
    assert [each.step for each in found if each.type == "metric" and "loss" in each.values] == [0, 1, 0, 1, 0]
    (warning,) = [each.message for each in found if each.type == "warning"]
    assert warning.startswith("the steps of 'loss' went back from 1 to 0")


@pytest.mark.parametrize("name", ["", "1loss", "lo ss", "a" * 101, "loss\n", "größe", "_x"])
def test_name_that_cannot_be_stored_is_refused_with_the_rule(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"metric name .* use letters, digits"):
        run.metrics(1, {name: 1.0})
    assert records(folder) == []


def test_number_of_series_is_bounded(folder: Path) -> None:
    run.metrics(0, {f"m{number}": 0.0 for number in range(values.MAX_METRIC_NAMES)})
    with pytest.raises(ValueError, match=f"may record at most {values.MAX_METRIC_NAMES} series"):
        run.metrics(0, one_more=1.0)
    run.metrics(1, m0=1.0)
    assert len(records(folder)) == 2


@pytest.mark.parametrize("step", [1.5, 2**63, math.nan])
def test_step_is_a_whole_number(folder: Path, step: float) -> None:
    with pytest.raises(ValueError, match=r"step|NaN"):
        run.metrics(step, loss=1.0)  # type: ignore[arg-type]


@pytest.fixture(params=["lab", "home"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    if request.param == "lab":
        request.getfixturevalue("folder")
        yield
    else:
        monkeypatch.delenv("GPULAB_RUN_DIRECTORY", raising=False)
        run._current.cache_clear()
        yield
        run._current.cache_clear()


def test_wrong_values_are_named_at_home_as_in_a_lab(anywhere: None) -> None:
    import numpy as np
    import torch

    run.metrics(1, loss=torch.tensor(0.5, requires_grad=True))
    for step in ({"loss": 1.0}, None, torch.ones(2)):
        with pytest.raises((TypeError, ValueError), match=r"step .* must be a whole number"):
            run.metrics(step)  # type: ignore[arg-type]
    for value in (torch.ones(2), np.ones(2), "high", None):
        with pytest.raises((TypeError, ValueError), match="metric 'loss': a number is needed"):
            run.metrics(1, loss=value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a path or bytes are needed, not ndarray: save it to a file first"):
        run.artifact(np.ones(2), "a.npy")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a" * 129, "a\0b"])
def test_artifact_stays_in_its_folder(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="artifact name"):
        run.artifact(b"x", name)


def test_files_and_bytes_are_kept_whole(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "plot.png"
    source.write_bytes(b"\x89PNG")
    run.artifact(source)
    run.artifact(b"1,2", "table.csv")
    assert [(each.name, each.size_bytes) for each in records(folder)] == [("plot.png", 4), ("table.csv", 3)]
    assert (folder / "artifacts" / "table.csv").read_bytes() == b"1,2"
    with pytest.raises(ValueError, match="bytes need a name"):
        run.artifact(b"x")
    with pytest.raises(FileNotFoundError):
        run.artifact("not-there.txt")
    assert sorted(each.name for each in (folder / "artifacts").iterdir()) == ["plot.png", "table.csv"]


def test_checkpoint_is_found_by_the_next_attempt(folder: Path) -> None:
    assert run.latest_checkpoint() is None
    for step in (5, 10):
        with run.checkpoint(step) as path:
            path.write_text(f"state {step}")
    with pytest.raises(RuntimeError), run.checkpoint(15):
        raise RuntimeError
    found = run.latest_checkpoint()
    assert found is not None
    assert (found[0], found[1].read_text()) == (10, "state 10")
    assert [type(each).__name__ for each in records(folder)] == ["CheckpointFile", "CheckpointFile", "Resumed"]


def test_result_holds_scalars_alone(folder: Path) -> None:
    import numpy as np
    import torch

    run.result({"a": np.float64(0.5), "b": torch.tensor(3), "c": "text", "d": None, "e": True, "f": math.nan})
    expected = {"a": 0.5, "b": 3, "c": "text", "d": None, "e": True, "f": None}
    assert json.loads((folder / "result.json").read_text()) == expected
    for wrong in ({"x": [1]}, {"x": torch.zeros(2)}, {"x": object()}, {"x": "a" * 1001}, {1: 2}, [1]):
        with pytest.raises((TypeError, ValueError), match="result"):
            run.result(wrong)  # type: ignore[arg-type]


def test_threads_and_forks_never_mix_their_lines(folder: Path) -> None:
    def write(name: str) -> None:
        for step in range(200):
            run.metrics(step, {name: step, f"{name}_longer_name_of_a_series": step})

    threads = [threading.Thread(target=write, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    children = []
    for number in range(3):
        if (pid := os.fork()) == 0:
            write(f"c{number}")
            os._exit(0)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    assert len(records(folder)) == 7 * 200


def test_metric_costs_little(folder: Path) -> None:
    """A small step takes half a millisecond at least; 2 % of that are 10 µs."""
    best = math.inf
    for _ in range(20):
        began = time.perf_counter()
        for step in range(200):
            run.metrics(step, loss=0.25)
        best = min(best, (time.perf_counter() - began) / 200)
    assert best < 10e-6


def test_same_file_prints_at_home_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "datasets" / "mnist").mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "step 0: loss 1\n" in done.stdout
    assert "75% nearly" in done.stdout
    assert done.stdout.endswith("result: accuracy 0.5\ngoes on\n")
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["step-2.ckpt", "table.csv"]


def test_import_needs_the_standard_library_alone() -> None:
    code = "import sys; from gpulab import run; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    heavy = {"torch", "numpy", "pydantic", "httpx", "orjson", "experiments", "rich"}
    assert heavy.isdisjoint(eval(done.stdout)), done.stderr  # noqa: S307 - our own list


def test_data_set_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data" / "flowers").mkdir(parents=True)
    monkeypatch.setenv("GPULAB_DATASETS", str(tmp_path / "data"))
    assert run.datasets["flowers"] == tmp_path / "data" / "flowers"
    with pytest.raises(LookupError, match="no data set 'mnist'; it has: flowers"):
        run.datasets["mnist"]
