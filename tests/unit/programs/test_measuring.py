"""A program's memory is measured on an emulated card before it runs on one, in its sandbox."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from experiments.internal.program_memory.spec import EXPERIMENT, ProgramMemoryResult
from tests.unit.programs.hosting import PROGRAM, Place

TRAIN = """
import argparse, torch
from gpulab import run
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=256)
width = parser.parse_args().width
model = torch.nn.Linear(width, width, bias=False).cuda()
optimizer = torch.optim.Adam(model.parameters())
for step in range(10**9):
    loss = model(torch.ones(8, width, device="cuda")).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    run.metrics(step, loss=loss)
"""
MIB = 2**20


def measured(folder: Path, files: dict[str, str], **spec: Any) -> ProgramMemoryResult:
    place = Place(folder)
    place.write(files)
    place.order("program-memory", {"card": "T4", **spec})
    found = place.result_of(place.start())
    assert found.end["type"] == "result", found.output
    assert found.of("metric") == []
    assert found.status == 0
    return ProgramMemoryResult.model_validate(found.end["value"])


def script(*command: str, **spec: Any) -> dict[str, Any]:
    return {"script": {"program": PROGRAM, "command": list(command), **spec}}


def test_script_is_measured_with_its_parameters(tmp_path: Path) -> None:
    found = measured(tmp_path, {"train.py": TRAIN}, **script("python", "train.py", parameters={"width": 1024}))
    assert (found.outcome, found.card) == ("fits", "T4")
    assert [step.optimizer for step in found.steps] == ["Adam", "Adam"]
    # Weights, gradients and two moments of 4 MiB each, and what a step of Adam makes beside them.
    assert 16 * MIB <= (found.peak_allocated_bytes or 0) <= 40 * MIB
    assert found.peak_phase == "step"
    assert any("train.py:14" in assumed for assumed in found.assumptions)
    assert (found.peak_reserved_bytes or 0) >= (found.peak_allocated_bytes or 0)


def test_notebook_is_measured_as_a_script_of_its_cells(tmp_path: Path) -> None:
    v4 = nbformat.v4
    cells = [
        v4.new_code_cell("%matplotlib inline\nwidth = 8"),  # type: ignore[no-untyped-call]
        v4.new_code_cell("%%bash\nexit 1"),  # type: ignore[no-untyped-call]
        v4.new_code_cell("if True:\n    !pip list\ndisplay(width)"),  # type: ignore[no-untyped-call]
        v4.new_code_cell("files = !ls\n%time width = len(str(width))"),  # type: ignore[no-untyped-call]
        v4.new_code_cell("%%time\n" + TRAIN.replace("parser.parse_args().width", "16")),  # type: ignore[no-untyped-call]
    ]
    text = nbformat.writes(v4.new_notebook(cells=cells))  # type: ignore[no-untyped-call]
    found = measured(tmp_path, {"week/a.ipynb": text}, notebook={"program": PROGRAM, "notebook": "week/a.ipynb"})
    assert found.outcome == "fits", found.reason
    assert found.peak_allocated_bytes


@pytest.mark.parametrize(
    ("files", "run", "reason"),
    [
        ({"a.py": "print(1)"}, script("python", "a.py"), "the program never"),
        ({"a.py": "raise ValueError('no data')"}, script("python", "a.py"), "ValueError: no data (a.py:1)"),
        ({}, script("bash", "run.sh"), "only Python programs are measured, and the command is 'bash'"),
        ({}, script("python", "a.py"), "the program has no file 'a.py'"),
    ],
)
def test_what_cannot_be_measured_says_why(
    tmp_path: Path, files: dict[str, str], run: dict[str, Any], reason: str
) -> None:
    found = measured(tmp_path, files, **run)
    assert found.outcome == "not_predicted"
    assert reason in (found.reason or "")
    assert found.peak_allocated_bytes is None


def test_data_sets_are_those_of_the_run() -> None:
    spec = EXPERIMENT.spec.model_validate({"program": PROGRAM, **script("python", "a.py", datasets=["mnist"])})
    assert EXPERIMENT.datasets(spec) == ("mnist",)
