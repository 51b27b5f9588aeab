"""A notebook runs from its first cell to its last, with its parameters, and is kept with its outputs."""

import json
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from nbformat import NotebookNode
from pydantic import ValidationError

from experiments.catalog.notebook.spec import NotebookSpec
from experiments.program_host.notebook import NotebookUnreadable, artifact_name, inject, read
from tests.unit.programs.hosting import Hosted, Place, running

V4 = nbformat.v4


def code(source: str, *tags: str) -> NotebookNode:
    cell: NotebookNode = V4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})  # type: ignore[no-untyped-call]
    return cell


def notebook(*cells: NotebookNode) -> NotebookNode:
    made: NotebookNode = V4.new_notebook(cells=list(cells))  # type: ignore[no-untyped-call]
    return made


def prepared(folder: Path, cells: list[NotebookNode], **spec: Any) -> Place:
    place = Place(folder)
    prepare(place, cells, **spec)
    return place


def prepare(place: Place, cells: list[NotebookNode], **spec: Any) -> None:
    place.write({"week/lesson.ipynb": nbformat.writes(notebook(*cells)), "week/helper.py": "WORD = 'helped'"})  # type: ignore[no-untyped-call]
    place.order("notebook", {"notebook": "week/lesson.ipynb", **spec}, seed=5)


def hosted(folder: Path, cells: list[NotebookNode], **spec: Any) -> Hosted:
    place = prepared(folder, cells, **spec)
    return place.to_its_end()


def test_cells_run_with_parameters_and_the_last_value_is_the_result(tmp_path: Path) -> None:
    cells = [
        code("rate = 0.5; name = 'x'", "parameters"),
        code("import helper; from gpulab import run\nrun.metrics(1, loss=rate); print(helper.WORD, name)"),
        V4.new_markdown_cell("# text"),  # type: ignore[no-untyped-call]
        code("import os; os.makedirs('outputs', exist_ok=True); open('outputs/kept.txt', 'w').write(str(run.seed))"),
        code("import numpy\n{'double': 2 * rate, 'drawn': numpy.random.rand()}"),
    ]
    found = hosted(tmp_path, cells, parameters={"rate": 0.25, "name": 'it\'s "quoted"\n'})
    assert found.status == 0, found.output
    assert found.series("loss") == [(1, 0.25)]
    assert 'helped it\'s "quoted"\n' in found.output
    assert found.end["value"] == {"double": 0.5, "drawn": np.random.RandomState(5).rand()}
    assert found.artifacts == {"week-lesson.ipynb", "kept.txt"}
    assert found.of("progress")[-1]["fraction"] == 1.0
    kept = nbformat.read(found.folder / "artifacts" / "week-lesson.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert [cell.get("metadata", {}).get("tags") for cell in kept.cells[:2]] == [
        ["parameters"],
        ["injected-parameters"],
    ]
    assert len(kept.cells) == 6
    assert kept.cells[-1].outputs[0].output_type == "execute_result"


def test_parameter_that_the_notebook_does_not_know_is_a_note_of_the_run(tmp_path: Path) -> None:
    cells = [code("rate = 0.5", "parameters"), code("{'rate': rate}")]
    found = hosted(tmp_path, cells, parameters={"rate": 0.25, "rat": 1})
    note = "the cell tagged `parameters` does not assign 'rat'. It assigns: rate"
    assert [record["message"] for record in found.of("warning")] == [note]
    assert f"note: {note}\n" in found.output
    assert found.end["value"] == {"rate": 0.25}


def test_failing_cell_is_named_and_the_notebook_is_kept(tmp_path: Path) -> None:
    found = hosted(
        tmp_path, [code("x = 1"), code("def f():\n    raise ValueError('boom')\nf()"), code("print('never')")]
    )
    assert found.status == 1
    assert found.end["message"] == "cell 2 of 3 failed: ValueError: boom"
    assert found.end["cause"] == "error"
    assert "raise ValueError" in found.end["traceback"]
    assert "\x1b" not in found.end["traceback"]
    kept = nbformat.read(found.folder / "artifacts" / "week-lesson.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert [cell.execution_count for cell in kept.cells] == [1, 2, None]


def test_kernel_that_dies_is_named(tmp_path: Path) -> None:
    found = hosted(tmp_path, [code("import os; os._exit(3)")])
    assert found.end["message"].startswith("cell 1 of 1: the kernel ended with exit code 3")


def test_slow_cell_ends_at_its_timeout(tmp_path: Path) -> None:
    found = hosted(tmp_path, [code("while True: pass")], cell_timeout_seconds=1)
    assert found.end["type"] == "error"
    assert found.end["message"] == "cell 1 of 1 took longer than 1 seconds"


def test_stop_interrupts_the_cell_and_keeps_the_notebook(tmp_path: Path) -> None:
    place = prepared(tmp_path, [code("print('begun', flush=True)\nwhile True: pass"), code("print('never')")])
    with running(place) as process:
        assert process.stdout is not None
        while "begun" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        found = place.result_of(process)
    assert found.end["type"] == "stopped"
    assert "never" not in found.output
    assert found.artifacts == {"week-lesson.ipynb"}


def test_kernel_of_a_spare_has_torch_from_the_start(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ready, theirs = os.pipe()
    with running(place, "--spare", "--ready-fd", str(theirs), pass_fds=(theirs,), stdin=subprocess.PIPE) as process:
        os.close(theirs)
        assert os.read(ready, 1) == b"y"
        os.close(ready)
        cells = [code("import sys; had = 'torch' in sys.modules; from gpulab import run"), code(LEFT_OPEN)]
        prepare(place, [*cells, code("import torch\n{'had': had, 'drawn': torch.rand(1).item()}")])
        assert process.stdin is not None
        process.stdin.write("{}\n")
        process.stdin.flush()
        found = place.result_of(process)
    assert found.status == 0, found.output
    assert found.end["value"] == {
        "had": True,
        "drawn": torch.rand(1, generator=torch.Generator().manual_seed(5)).item(),
    }
    assert (place.work / "week" / "left.txt").read_text() == "written at the end"


LEFT_OPEN = """
import atexit
left = open('left.txt', 'w')
left.write('written ')
atexit.register(lambda: (left.write('at the end'), left.close()))
"""


def test_kernel_is_killed_with_a_host_that_dies(tmp_path: Path) -> None:
    cells = [code("import os; print('kernel', os.getpid(), flush=True)"), code("while True: pass")]
    place = prepared(tmp_path, cells)
    with running(place) as process:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("kernel "):
            assert process.poll() is None
        kernel = os.pidfd_open(int(line.split()[1]))
        process.kill()
        process.wait()
        assert select.select([kernel], [], [], 60)[0]
    os.close(kernel)


IN_R = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
EMPTY: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not a notebook"),
        ("[]", "is not a notebook"),
        (json.dumps(EMPTY | {"cells": [{}]}), "is not a notebook"),
        (json.dumps(EMPTY | {"metadata": IN_R}), "its language is R"),
        (json.dumps(EMPTY | {"metadata": {"language_info": {"name": "julia"}}}), "its language is julia"),
    ],
)
def test_file_that_is_no_notebook_says_why(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(NotebookUnreadable, match=reason):
        read(tmp_path / "a.ipynb")
    with pytest.raises(NotebookUnreadable, match="no such file"):
        read(tmp_path / "b.ipynb")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernelspec": {"name": "conda-env-old", "display_name": "my environment"}},
        {"kernelspec": {"name": "python3"}, "language_info": {}, "accelerator": "GPU"},
        {"kernelspec": "python3", "language_info": None},
        {"kernelspec": {"name": "x", "display_name": "x", "language": "Python"}, "language_info": {"name": "ipython"}},
    ],
)
def test_notebook_of_any_python_is_read_whatever_its_kernel_was_called(
    tmp_path: Path, metadata: dict[str, Any]
) -> None:
    text = "\ufeff" + json.dumps(EMPTY | {"metadata": metadata})
    (tmp_path / "a.ipynb").write_text(text, encoding="utf-8")
    assert read(tmp_path / "a.ipynb").cells == []


def test_notebook_with_fields_of_a_newer_form_is_read(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "id": "abc", "metadata": {}, "source": "1", "outputs": [], "execution_count": None}
    (tmp_path / "a.ipynb").write_text(json.dumps(EMPTY | {"nbformat_minor": 4, "cells": [cell], "made_by": "a tool"}))
    assert [each.source for each in read(tmp_path / "a.ipynb").cells] == ["1"]


def test_output_that_came_in_pieces_is_kept_as_one(tmp_path: Path) -> None:
    source = """
import sys, time
from IPython.display import display
for number in range(40):
    print(number, flush=True)
display({"text/plain": "between"}, raw=True)
for number in range(40):
    print(f"\\r{number} %", end="", file=sys.stderr, flush=True)
print(" done", file=sys.stderr, flush=True)
"""
    found = hosted(tmp_path, [code(source)])
    assert found.status == 0, found.output
    kept = nbformat.read(found.folder / "artifacts" / "week-lesson.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    first, between, last = kept.cells[0].outputs
    assert first.text.split() == [str(number) for number in range(40)]
    assert between.data == {"text/plain": "between"}
    assert (last.name, last.text) == ("stderr", "39 % done\n")


def test_no_output_is_lost_however_many_there_are(tmp_path: Path) -> None:
    source = "from IPython.display import display\nfor n in range(4000): display({'text/plain': str(n)}, raw=True)"
    found = hosted(tmp_path, [code(source)])
    assert found.status == 0, found.output
    kept = nbformat.read(found.folder / "artifacts" / "week-lesson.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert [output.data["text/plain"] for output in kept.cells[0].outputs] == [str(n) for n in range(4000)]


def test_parameter_that_python_would_rename_is_refused() -> None:
    for name in ("ﬁt", "ª"):
        with pytest.raises(ValidationError, match="Python reads the name"):
            NotebookSpec.model_validate({"program": "0" * 64, "notebook": "a.ipynb", "parameters": {name: 1}})


def test_parameters_follow_papermills_convention() -> None:
    made = notebook(
        code("a = 1"), code("b = 2", "parameters"), code("old", "injected-parameters"), code("c", "parameters")
    )
    inject(made, {"b": True, "name": "x'y", "n": None})
    assert [cell.source for cell in made.cells] == [
        "a = 1",
        "b = 2",
        '# Parameters\nb = True\nname = "x\'y"\nn = None',
        "c",
    ]
    plain = notebook(code("a"))
    inject(plain, {"b": 1})
    assert [cell.source for cell in plain.cells] == ["# Parameters\nb = 1", "a"]
    inject(untouched := notebook(code("a")), {})
    assert len(untouched.cells) == 1


def test_name_of_the_artifact_is_the_notebooks() -> None:
    assert artifact_name("week 1/lesson.ipynb") == "week_1-lesson.ipynb"


@pytest.mark.parametrize(
    "change",
    [
        {"notebook": "/etc/x.ipynb"},
        {"notebook": "a.py"},
        {"parameters": {"a-b": 1}},
        {"parameters": {"class": 1}},
        {"cell_timeout_seconds": 0},
    ],
)
def test_spec_refuses_what_cannot_run(change: dict[str, Any]) -> None:
    good = {"program": "0" * 64, "notebook": "a.ipynb", "parameters": {"rate": 1}}
    assert NotebookSpec.model_validate(good).cell_timeout_seconds is None
    with pytest.raises(ValidationError):
        NotebookSpec.model_validate(good | change)
