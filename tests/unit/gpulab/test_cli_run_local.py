"""`gpulab run --local`, with a stand-in for the program that runs experiments."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpulab.cli import main
from gpulab.cli.jobs.local import RecordTail

HOST = """
import json, pathlib, signal, sys, threading
spec_file, out = sys.argv[1], pathlib.Path(sys.argv[3])
order = json.loads(open(spec_file).read())
if order["spec"].get("bad"):
    print(f"{spec_file}: 1 validation error\\nsteps: too many")
    sys.exit(2)
out.mkdir(parents=True, exist_ok=True)
records = (out / "records.ndjson").open("a", buffering=1)
def record(type, **fields): records.write(json.dumps({"time": 0.0, "type": type, **fields}) + "\\n")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
signal.signal(signal.SIGINT, lambda *_: stop.set())
print("said by the run")
record("progress", fraction=0.5, message="half")
match order["spec"].get("ending", "result"):
    case "result": record("result", value={"seed": order.get("seed", 0), "curve": list(range(1000))})
    case "error": record("error", cause="diverged", message="loss is nan"); sys.exit(1)
    case "nothing": sys.exit(1)
    case "wait": stop.wait(60); record("stopped", message="")
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkout; the current one."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").touch()
    (tmp_path / "experiments" / "host.py").write_text(HOST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(checkout: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["run", *arguments, "--local"])
        return (code, *capsys.readouterr())

    return command


def test_run_prints_progress_and_the_result(run: Run, checkout: Path) -> None:
    (checkout / "spec.yaml").write_text("experiment: echo\nseed: 3\n")
    code, out, err = run("spec.yaml", "--out", "there")
    assert code == 0
    assert err == " 50% half\n"
    assert [line.split()[:2] for line in out.splitlines()[:2]] == [["state", "succeeded"], ["result.seed", "3"]]
    assert out.splitlines()[-1].split() == ["folder", "there"]
    assert (checkout / "there" / "output.log").read_text() == "said by the run\n"


def test_run_as_json_is_one_object(run: Run) -> None:
    code, out, err = run("echo", "--seed", "4", "--json", "--out", "there")
    assert (code, err) == (0, "")
    verdict = json.loads(out)
    assert (verdict["state"], verdict["result"]["seed"], verdict["out"]) == ("succeeded", 4, "there")


def test_each_run_gets_a_folder_of_its_own_when_none_is_named(run: Run, checkout: Path) -> None:
    assert run("echo")[0] == 0
    (folder,) = (checkout / "runs").iterdir()
    assert folder.name.startswith("echo-")


@pytest.mark.parametrize(("ending", "message"), [("error", "diverged: loss is nan"), ("nothing", "left no verdict")])
def test_run_that_fails_exits_1_and_says_why(run: Run, ending: str, message: str) -> None:
    code, out, _ = run("echo", "-p", f"ending={ending}")
    assert code == 1
    assert message in out


def test_spec_that_is_refused_exits_2_without_the_name_of_a_temporary_file(run: Run) -> None:
    code, out, err = run("echo", "-p", "bad=true")
    assert (code, out, err) == (2, "", "gpulab: 1 validation error steps: too many\n")


def test_without_the_experiments_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gpulab.cli.jobs.local.find_spec", lambda _name: None)
    assert main(["run", "echo", "--local"]) == 2
    assert "needs a checkout of gpulab with the worker extra (missing: experiments, torch)" in capsys.readouterr().err


def test_interrupt_ends_the_run_in_order_and_exits_130(checkout: Path) -> None:
    command = [sys.executable, "-m", "gpulab", "run", "echo", "-p", "ending=wait", "--local", "--out", "there"]
    # The folder with the stand-in comes first, the real package after it.
    environment = {**os.environ, "PYTHONPATH": f"{checkout}:{Path(__file__).parents[3]}"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == " 50% half\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    last = (checkout / "there" / "records.ndjson").read_text().splitlines()[-1]
    assert json.loads(last)["type"] == "stopped"


def test_half_a_record_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    tail = RecordTail(path)
    assert list(tail.new()) == []
    path.write_bytes(b'{"a": 1}\n{"b"')
    assert list(tail.new()) == [{"a": 1}]
    with path.open("ab") as file:
        file.write(b": 2}\n")
    assert list(tail.new()) == [{"b": 2}]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom gpulab.cli import main\nassert main(['--help']) == 0\n"
        "print(sorted({'httpx', 'torch', 'sqlalchemy', 'yaml', 'psycopg'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
