"""A script runs as it would at home, and its end is always said."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from experiments.catalog.script.spec import ScriptSpec
from experiments.program_host.script import as_arguments, as_python
from tests.unit.programs.hosting import Place, run_script, running


def test_program_finds_its_arguments_its_files_and_its_run(tmp_path: Path) -> None:
    program = """
import os, sys, json, pathlib, __main__
import helper
from gpulab import run
def f(): pass
assert __name__ == "__main__" and __main__.f is f and __file__.endswith("train.py")
pathlib.Path("written-beside.txt").write_text("x")
run.metrics(1, loss=0.5)
run.artifact(b"1", "given.csv")
pathlib.Path("outputs/deep").mkdir(parents=True)
pathlib.Path("outputs/deep/er.txt").write_text("mine")
os.symlink("/etc/passwd", "outputs/link.txt")
print(json.dumps([sys.argv, run.seed, run.parameters, helper.WORD, os.getcwd()]))
run.result({"loss": 0.5, "argv": len(sys.argv)})
"""
    files = {"train.py": program, "helper.py": "WORD = 'helped'"}
    found = run_script(
        tmp_path, files, arguments=["--fast", "two words"], parameters={"lr": 0.1, "deep": True, "off": False}, seed=7
    )
    argv, seed, parameters, word, folder = json.loads(found.output.splitlines()[1])
    assert argv == ["train.py", "--fast", "two words", "--lr", "0.1", "--deep"]
    assert (seed, parameters, word) == (7, {"lr": 0.1, "deep": True, "off": False}, "helped")
    assert folder == str(tmp_path / "place" / "work")
    assert found.status == 0
    assert found.series("loss") == [(1, 0.5)]
    assert found.artifacts == {"given.csv", "deep-er.txt"}
    assert found.end["type"] == "result"
    assert found.end["value"] == {"loss": 0.5, "argv": 6}


def test_seed_repeats_random_numbers_without_the_programs_help(tmp_path: Path) -> None:
    program = """
import random, numpy, torch
from gpulab import run
run.result({"a": random.random(), "b": numpy.random.rand(), "c": torch.rand(()), "threads": torch.get_num_threads()})
"""
    first, again, other = (
        run_script(tmp_path / str(number), {"train.py": program}, seed=seed).end["value"]
        for number, seed in enumerate((3, 3, 4))
    )
    assert first == again
    assert first["threads"] == 1
    assert not set(first.values()) & set(other.values()) - {1}


ENDINGS: list[tuple[str, int, str]] = [
    ("raise ValueError('wrong rate')", 1, "ValueError: wrong rate"),
    ("import sys; sys.exit(3)", 3, "exit code 3"),
    ("import sys; sys.exit('no data')", 1, "no data"),
    ("import not_installed.deep", 1, "No module named 'not_installed'. Send it with the program if it is yours"),
    ("input('Your name? ')", 1, "EOFError: EOF when reading a line. A program gets no input in the lab"),
    ("raise AssertionError('Torch not compiled with CUDA enabled')", 1, "ask for one with --gpus 1"),
    ("import os; os._exit(5)", 5, "exit code 5"),
    ("import os; os.kill(os.getpid(), 11)", 128 + 11, "SIGSEGV"),
    ("import os; os.kill(os.getpid(), 9)", 128 + 9, "SIGKILL"),
    ("def f(:", 1, "SyntaxError"),
]


@pytest.mark.parametrize(("program", "status", "words"), ENDINGS, ids=[words[:20] for *_, words in ENDINGS])
def test_failure_is_named(tmp_path: Path, program: str, status: int, words: str) -> None:
    found = run_script(tmp_path, {"train.py": program})
    assert found.status == status
    assert found.end["type"] == "error"
    assert words in found.end["message"]
    assert "program_host" not in found.end.get("traceback", "")


def test_failure_names_the_innermost_line_of_the_programs_own_files(tmp_path: Path) -> None:
    files = {
        "train.py": "import os, parts.net\nos.chdir('/')\nparts.net.build(0)",
        "parts/net.py": "import json\n\ndef build(n):\n    json.loads('{')",
    }
    found = run_script(tmp_path, files)
    assert found.end["message"].startswith("JSONDecodeError: ")
    assert found.end["message"].endswith("(parts/net.py, line 4)")


def test_out_of_memory_is_recognised(tmp_path: Path) -> None:
    program = "import torch\ntorch.empty(2**55, dtype=torch.uint8)"
    found = run_script(tmp_path, {"train.py": program})
    assert (found.end["type"], found.end["cause"]) == ("error", "out_of_memory")


def test_exit_code_zero_is_success_and_registered_functions_are_called(tmp_path: Path) -> None:
    program = """
import atexit, sys, threading, time
from gpulab import run
atexit.register(lambda: open("outputs.txt", "w").close() or run.metrics(2, at_exit=1))
threading.Thread(target=lambda: (time.sleep(0.2), run.metrics(1, thread=1))).start()
sys.exit()
"""
    found = run_script(tmp_path, {"train.py": program})
    assert found.status == 0
    assert (found.series("thread"), found.series("at_exit")) == ([(1, 1.0)], [(2, 1.0)])
    assert found.end["value"] == {}


@pytest.mark.parametrize(
    "line",
    [
        "sys.stdout = None",
        "sys.stdout.close()",
        "sys.stdout = type('Tee', (), {'write': lambda self, text: None})()",
        "import atexit; atexit.register(lambda: 1 / 0)",
        "import os; os._exit = None",
    ],
)
def test_what_goes_wrong_after_the_last_line_costs_no_result(tmp_path: Path, line: str) -> None:
    """As at home, where Python says it and ends with 0."""
    program = f"import sys\nfrom gpulab import run\nrun.result({{'a': 1}})\n{line}"
    found = run_script(tmp_path, {"train.py": program})
    assert (found.status, found.end.get("value")) == (0, {"a": 1}), found.output


def test_other_commands_run_and_their_children_use_the_sdk(tmp_path: Path) -> None:
    files = {
        "run.sh": 'echo "shell $1"; python -c "from gpulab import run; run.metrics(1, loss=2); run.result({\'a\': 1})"',
    }
    found = run_script(tmp_path, files, command="bash run.sh", arguments=["x"])
    assert "shell x" in found.output
    assert found.series("loss") == [(1, 2.0)]
    assert (found.status, found.end["value"]) == (0, {"a": 1})


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python missing.py", "has no file 'missing.py'; its folder has: run.sh"),
        ("no-such-command x", "'no-such-command' could not be started"),
        ("bash run.sh", "bash ended with exit code 4"),
        ("./run.sh", "cannot be executed. Name what runs it, such as `bash run.sh`"),
        ("python -m nothing", "No module named 'nothing'. Send it with the program"),
    ],
)
def test_command_that_fails_is_named(tmp_path: Path, command: str, words: str) -> None:
    found = run_script(tmp_path, {"run.sh": "exit 4"}, command=command)
    assert found.end["type"] == "error"
    assert words in found.end["message"]


def test_packages_called_as_the_labs_are_the_programs(tmp_path: Path) -> None:
    files = {
        "pkg/__main__.py": "import experiments, models\nfrom gpulab import run\n"
        "run.result({'a': experiments.MINE, 'b': models.MINE})",
        "pkg/__init__.py": "",
        "experiments.py": "MINE = 1",
        "models/__init__.py": "MINE = 2",
    }
    found = run_script(tmp_path, files, command="python -m pkg")
    assert found.end.get("value") == {"a": 1, "b": 2}, found.output


@pytest.mark.parametrize(
    "files",
    [
        {"json.py": "raise ValueError('shadow')", "random.py": "raise ValueError", "pydantic/__init__.py": "boom"},
        {"experiments/__init__.py": "MINE = 1", "emulator.py": "MINE = 2", "utils.py": "from experiments import MINE"},
        {"gpulab.py": "boom", "sitecustomize.py": "boom", "encodings.py": "boom"},
    ],
    ids="-".join,
)
def test_files_called_as_modules_of_the_host_do_not_reach_it(tmp_path: Path, files: dict[str, str]) -> None:
    own = "import utils; assert utils.MINE == 1\n" if "utils.py" in files else ""
    found = run_script(tmp_path, {**files, "train.py": own + "from gpulab import run\nrun.result({'a': 1})"})
    assert (found.status, found.end.get("value")) == (0, {"a": 1}), found.output


def test_file_called_torch_is_the_programs_own(tmp_path: Path) -> None:
    files = {"torch.py": "MINE = 1", "numpy.py": "MINE = 2"}
    program = "import torch, numpy\nfrom gpulab import run\nrun.result({'a': torch.MINE, 'b': numpy.MINE})"
    found = run_script(tmp_path, {**files, "train.py": program})
    assert found.end.get("value") == {"a": 1, "b": 2}, found.output


ASKING = """
from gpulab import run
run.should_stop()
print("begun")
while not run.should_stop(): pass
run.metrics(9, saved=1)
"""
LOOPS: list[tuple[str, dict[str, Any], int]] = [
    ("import time\nprint('begun')\nwhile True: time.sleep(0.01)", {"type": "stopped"}, 130),
    (
        ASKING,
        {"type": "stopped"},
        0,
    ),
]


@pytest.mark.parametrize(("program", "end", "status"), LOOPS, ids=["never asks", "asks"])
def test_stop_interrupts_a_program_or_is_answered_by_it(
    tmp_path: Path, program: str, end: dict[str, Any], status: int
) -> None:
    place = Place(tmp_path)
    place.write({"train.py": program})
    place.order("script", {"command": ["python", "train.py"]})
    with running(place) as process:
        assert process.stdout is not None
        while "begun" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        found = place.result_of(process)
    assert found.end.items() >= end.items()
    assert found.status == status
    assert bool(found.of("metric")) == ("should_stop" in program)


def test_workers_of_a_data_loader_end_with_it(tmp_path: Path) -> None:
    program = """
import os, torch
from gpulab import run
run.should_stop()
class Numbers(torch.utils.data.Dataset):
    def __len__(self): return 8
    def __getitem__(self, place):
        run.metrics(place, worker=place)
        return float(place)
loader = torch.utils.data.DataLoader(Numbers(), num_workers=2, persistent_workers=True)
run.result({"sum": sum(float(each) for each in loader)})
"""
    found = run_script(tmp_path, {"train.py": program})
    assert (found.status, found.end.get("value")) == (0, {"sum": 28.0}), found.output
    assert sorted(step for step, _ in found.series("worker")) == list(range(8))


def test_arguments_follow_one_rule() -> None:
    assert as_arguments({"lr": 0.1, "n": 3, "on": True, "off": False, "none": None, "name": "a b"}) == [
        *("--lr", "0.1", "--n", "3", "--on", "--name", "a b"),
    ]


def test_value_that_begins_with_a_dash_is_not_taken_for_an_option(tmp_path: Path) -> None:
    parameters = {
        "small": -1e-05,
        "count": -3,
        "far": "-inf",
        "word": "-x",
        "lines": "a\n--b\nc",
        "e": "",
    }
    program = """
import argparse
from gpulab import run
parser = argparse.ArgumentParser()
for name in ("small", "far"): parser.add_argument("--" + name, type=float)
for name in ("word", "lines", "e"): parser.add_argument("--" + name)
parser.add_argument("--count", type=int)
run.result(vars(parser.parse_args()))
"""
    found = run_script(tmp_path, {"train.py": program}, parameters=parameters)
    assert found.end.get("value") == parameters | {"far": None}, found.output


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        (["python", "a.py", "-x"], ("a.py", False, ("-x",))),
        (["python3", "-u", "a.py"], ("a.py", False, ())),
        (["/usr/bin/python3", "-m", "pkg", "--x"], ("pkg", True, ("--x",))),
        (["a.py", "y"], ("a.py", False, ("y",))),
        (["python", "-c", "1"], None),
        (["python"], None),
        (["bash", "a.py"], None),
    ],
)
def test_python_is_recognised(command: list[str], runs: tuple[Any, ...] | None) -> None:
    found = as_python(command)
    assert (found and (found.name, found.is_module, found.arguments)) == runs


@pytest.mark.parametrize(
    "change",
    [
        {"program": "abc"},
        {"command": []},
        {"command": ["a\0b"]},
        {"parameters": {"a b": 1}},
        {"parameters": {"x": [1]}},
        {"parameters": {"x": float("nan")}},
        {"datasets": ["../x"]},
        {"unknown": 1},
    ],
)
def test_spec_refuses_what_cannot_run(change: dict[str, Any]) -> None:
    good = {"program": "0" * 64, "command": ["python", "a.py"]}
    assert ScriptSpec.model_validate(good).command == ("python", "a.py")
    with pytest.raises(ValidationError):
        ScriptSpec.model_validate(good | change)


def test_spare_waits_for_its_order_and_begins_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ready, theirs = os.pipe()
    with running(place, "--spare", "--ready-fd", str(theirs), pass_fds=(theirs,), stdin=-1) as process:
        os.close(theirs)
        assert os.read(ready, 1) == b"y"
        os.close(ready)
        program = "import sys, time\nassert 'torch' in sys.modules\nimport torch, os\nfrom gpulab import run\n"
        program += "run.result({'at': time.time(), 'gpus': os.environ['CUDA_VISIBLE_DEVICES']})"
        place.write({"train.py": program})
        place.order("script", {"command": ["python", "train.py"]})
        assert process.stdin is not None
        began = time.time()
        process.stdin.write('{"cuda_visible_devices": "GPU-1"}\n')
        process.stdin.flush()
        found = place.result_of(process)
    assert found.end.get("value", {}).get("gpus") == "GPU-1", found.output
    assert found.end["value"]["at"] - began < 5


def test_spare_that_is_not_needed_ends_quietly(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with running(place, "--spare") as process:
        found = place.result_of(process)
    assert (found.status, found.output, found.records) == (0, "", [])
