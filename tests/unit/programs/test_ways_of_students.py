"""Programs as students bring them: each behaves as it does at home, or says what is different here."""

import json
from pathlib import Path

import pytest

from tests.unit.programs.hosting import Hosted, Place, run_script
from tests.unit.programs.test_notebook import code, hosted, notebook


def warnings(found: Hosted) -> str:
    return " | ".join(record["message"] for record in found.of("warning"))


def test_file_is_absolute_and_stays_main_to_the_end(tmp_path: Path) -> None:
    program = """
import atexit, inspect, os, sys, threading, time
count: int = 0
def later():
    time.sleep(0.2)
    import __main__
    print("thread", __main__.__file__ == __file__, __main__.count)
threading.Thread(target=later).start()
atexit.register(lambda: print("exit", sys.modules["__main__"].count))
count = 7
os.chdir("/")
print(sorted(os.listdir(os.path.dirname(__file__))), sys.argv[0], "def later" in inspect.getsource(later))
"""
    found = run_script(tmp_path, {"train.py": program, "data.csv": ""})
    assert "['data.csv', 'train.py'] train.py True" in found.output
    assert "thread True 7" in found.output
    assert "exit 7" in found.output


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_are_started_by_any_method(tmp_path: Path, method: str) -> None:
    program = f"""
import multiprocessing
from gpulab import run
def double(x): return 2 * x
if __name__ == "__main__":
    multiprocessing.set_start_method("{method}")
    with multiprocessing.Pool(2) as pool:
        run.result({{"sum": sum(pool.map(double, range(5)))}})
"""
    found = run_script(tmp_path, {"train.py": program})
    assert found.end.get("value") == {"sum": 20}, found.output


SOURCES = {
    "latin": "# -*- coding: latin-1 -*-\nprint('sé')".encode("latin-1"),
    "mark": b"\xef\xbb\xbfif True:\r\n\tprint('s\xc3\xa9')\r\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_source_of_any_encoding_runs_under_any_name(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path)
    (place.work / "mein träin 1.py").write_bytes(SOURCES[name])
    place.order("script", {"command": ["python", "mein träin 1.py"]})
    found = place.result_of(place.start())
    assert (found.status, found.output) == (0, "$ python 'mein träin 1.py'\nsé\n")


def test_folder_with_a_main_file_runs(tmp_path: Path) -> None:
    found = run_script(tmp_path, {"app/__main__.py": "import part", "app/part.py": "print('begun')"}, "python app")
    assert "begun" in found.output, found.output


EXITS = [
    ("import argparse\nargparse.ArgumentParser().parse_args()", ["--rate"], "error: unrecognized arguments: --rate"),
    ("print('\\x1b[31mno labels\\x1b[0m\\n')\nraise SystemExit(3)", [], "exit code 3: no labels"),
    ("raise SystemExit(3)", [], "exit code 3; see the log"),
]


@pytest.mark.parametrize(("program", "arguments", "words"), EXITS, ids=[words[:20] for *_, words in EXITS])
def test_exit_code_comes_with_the_last_line(tmp_path: Path, program: str, arguments: list[str], words: str) -> None:
    place = Place(tmp_path)
    place.write({"train.py": program})
    place.order("script", {"command": ["python", "train.py"], "arguments": arguments})
    assert place.logged().end["message"].endswith(words)


def test_signal_to_its_own_group_ends_the_program_and_not_its_host(tmp_path: Path) -> None:
    found = run_script(tmp_path, {"train.py": "import os\nos.kill(0, 9)"})
    assert (found.end["type"], "SIGKILL" in found.end["message"]) == ("error", True)


def test_crash_shows_the_line_in_the_log(tmp_path: Path) -> None:
    found = run_script(tmp_path, {"train.py": "import ctypes\ndef deep():\n    ctypes.string_at(0)\ndeep()"})
    assert "SIGSEGV" in found.end["message"]
    assert "line 3 in deep" in found.output


def test_files_that_go_away_are_named(tmp_path: Path) -> None:
    program = """
import os, pathlib
from gpulab import run
os.makedirs("checkpoints"); os.makedirs("outputs/plots")
pathlib.Path("checkpoints/last.pt").write_bytes(bytes(100))
pathlib.Path("table.csv").write_text("1")
run.artifact("table.csv")
pathlib.Path("a\\nb.txt").write_text("12")
pathlib.Path("outputs/plots/kept.png").write_text("1")
os.symlink("../checkpoints/last.pt", "outputs/best.pt")
os.makedirs("__pycache__"); pathlib.Path("__pycache__/x.pyc").write_text("1")
"""
    found = run_script(tmp_path, {"train.py": program, "sent.csv": "1"})
    assert found.artifacts == {"table.csv", "plots-kept.png"}
    assert warnings(found) == (
        "links below outputs/ are not kept, only plain files"
        r" | not kept, because only files below outputs/ are: checkpoints/last.pt, a\nb.txt"
    )


def test_outputs_that_lead_elsewhere_are_said_to_be_lost(tmp_path: Path) -> None:
    program = "import os\nos.mkdir('elsewhere')\nos.symlink('elsewhere', 'outputs')\nopen('outputs/a', 'w')"
    found = run_script(tmp_path, {"train.py": program})
    assert found.artifacts == set()
    assert "outputs is a link" in warnings(found)


@pytest.mark.parametrize("call", ["exit()", "quit()", "import sys; sys.exit()", "import sys; sys.exit(0)"])
def test_notebook_that_leaves_has_ended_well(tmp_path: Path, call: str) -> None:
    cells = [
        code("from gpulab import run; run.result({'a': 1})"),
        code(f"if True:\n    {call}"),
        code("print('never')"),
    ]
    found = hosted(tmp_path, cells)
    assert (found.status, found.end.get("value")) == (0, {"a": 1}), found.output
    assert "never\n" not in found.output
    assert warnings(found) == "the notebook ended itself in cell 2 of 3: the cells after it did not run"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.exit(3)", "cell 1 of 1: the notebook ended with exit code 3"),
        ("import sys; sys.exit('no data')", "cell 1 of 1: the notebook ended: no data"),
        ("import os; os.kill(os.getpid(), 9)", "cell 1 of 1: the kernel was ended by SIGKILL"),
        ("input('Your name? ')", "A program gets no input in the lab: take values as arguments"),
        ("open('/content/a.csv')", "read data at run.datasets[...], and write below outputs/"),
        ("raise OSError('Failed to resolve')", "read a data set of the lab with --dataset NAME"),
    ],
)
def test_notebook_says_why_it_ended(tmp_path: Path, source: str, message: str) -> None:
    assert message in hosted(tmp_path, [code(source)]).end["message"]


def test_notebook_with_little_beside_its_cells_runs(tmp_path: Path) -> None:
    """Editors open these, and so do we."""
    cells = [
        {"cell_type": "code", "source": "print('first')"},
        {"cell_type": "markdown", "source": ["text"], "metadata": None},
        {"cell_type": "code", "source": ["{'a': 1}"], "outputs": None, "metadata": {"collapsed": True}},
    ]
    place = Place(tmp_path)
    text = json.dumps({"nbformat": 4, "metadata": {"kernelspec": None, "colab": {}}, "cells": cells})
    place.write({"week/lesson.ipynb": text})
    place.order("notebook", {"notebook": "week/lesson.ipynb"})
    found = place.result_of(place.start())
    assert found.end.get("value") == {"a": 1}, found.output


def test_outputs_of_an_earlier_run_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    stale = code("print('never')")
    stale.outputs = [{"output_type": "stream", "name": "stdout", "text": "stale"}]
    place = Place(tmp_path)
    place.write({"week/lesson.ipynb": json.dumps(notebook(code("1 / 0"), stale))})
    place.order("notebook", {"notebook": "week/lesson.ipynb"})
    found = place.result_of(place.start())
    assert "stale" not in (found.folder / "artifacts" / "week-lesson.ipynb").read_text()
