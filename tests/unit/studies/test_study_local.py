"""A study on one machine without a server: real processes, and no run twice."""

import json
from pathlib import Path

import pytest

from experiments.hosting.local import order_of, run_in
from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import Progress, Record, Started, Stopped
from experiments.studies.__main__ import main
from experiments.studies.local import Machine, carry_out
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import expand_grid, plan_run
from gpulab.run.files import RECORDS_FILE


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "runs", tmp_path / "datasets", slots=2)


def test_runs_finish_in_the_order_of_the_plan_and_are_told_as_they_end(machine: Machine) -> None:
    plan = expand_grid("dropout-linear", {"iterations": 20}, {"dropout": [0.0, 0.5]}, [0])
    told: list[RunOutcome] = []
    outcomes = carry_out(plan.runs, machine, told.append)
    assert [outcome.cell for outcome in outcomes] == [{"dropout": 0.0}, {"dropout": 0.5}]
    assert all(outcome.result and outcome.device == "cpu" and outcome.duration_seconds for outcome in outcomes)
    assert sorted(outcome.spec["dropout"] for outcome in told) == [0.0, 0.5]


def test_finished_run_is_read_and_not_run_again(machine: Machine) -> None:
    run = plan_run("dropout-linear", {"iterations": 20}, 0, "1b")
    first = carry_out([run], machine)[0]
    records = machine.place(run) / RECORDS_FILE
    before = records.read_bytes()
    assert carry_out([run], machine)[0] == first
    assert records.read_bytes() == before


def test_run_that_was_cut_off_is_run_again(machine: Machine) -> None:
    run = plan_run("dropout-linear", {"iterations": 20}, 0, "1b")
    carry_out([run], machine)
    records = machine.place(run) / RECORDS_FILE
    whole = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(whole[:-1]) + whole[-1][:10])
    assert carry_out([run], machine)[0].state == "succeeded"


def test_diverged_run_is_an_outcome_with_its_cause(machine: Machine) -> None:
    run = plan_run("dropout-linear", {"iterations": 1000, "learning_rate": 1.0}, 0, "1b")
    outcome = carry_out([run], machine)[0]
    assert (outcome.state, outcome.cause, outcome.result) == ("failed", "diverged", None)
    assert "loss" in outcome.why_not


def test_program_writes_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["course/1a", "--scale", "smoke", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "findings.json").read_text())["verdicts"] == {
        "agrees": 2,
        "sheet_is_wrong": 1,
        "differs": 0,
        "undecided": 0,
        "too_small": 0,
        "not_measured": 0,
    }
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "report.md").exists()
    assert "1a" in capsys.readouterr().out


def test_unknown_question_is_refused_with_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["course/9", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "course/1a" in capsys.readouterr().err


def test_interrupt_ends_the_run_in_order(tmp_path: Path) -> None:
    order = order_of(
        {"experiment": "dropout-linear", "spec": {"iterations": 100_000, "batch_size": 1000}},
        datasets=tmp_path,
        cache=tmp_path / "cache",
    )
    seen: list[Record] = []

    def interrupt(record: Record) -> None:
        seen.append(record)
        if isinstance(record, Progress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "run", order, interrupt)
    assert isinstance(seen[0], Started)
    assert isinstance(RecordReader(tmp_path / "run").ending(), Stopped)
