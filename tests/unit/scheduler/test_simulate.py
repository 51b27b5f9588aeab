"""The simulator: seeded, complete, and through the planner's own rules."""

import json
from pathlib import Path

import pytest

from scheduler.simulate.__main__ import interval, main
from scheduler.simulate.measures import POLICIES, jain, measured
from scheduler.simulate.replay import Replay
from scheduler.simulate.workload import GIB, Machines, Task, deadline_week, public_trace

SMALL = Machines(1, 2, 16 * GIB)
HEADER = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"


@pytest.fixture(scope="module")
def week() -> list[Task]:
    return deadline_week(1, SMALL, students=10, load=0.05)


@pytest.mark.parametrize("name", POLICIES)
def test_every_task_runs_once_and_no_gpu_holds_more_than_it_has(name: str, week: list[Task]) -> None:
    history = Replay(week, SMALL, POLICIES[name]).run()
    assert sorted(run.task.job.id.int for run in history.runs) == [task.job.id.int for task in week]
    assert all(run.waited >= 0 for run in history.runs)
    for at in (run.started for run in history.runs):
        here = [run for run in history.runs if run.started <= at < run.ended]
        assert sum(run.placement.share for run in here) <= 1 + 1e-9


def test_same_seed_gives_the_same_week_and_another_seed_another(week: list[Task]) -> None:
    again, other = (deadline_week(seed, SMALL, students=10, load=0.05) for seed in (1, 2))
    times = [[(task.job.submitted_time, task.seconds) for task in each] for each in (week, again, other)]
    assert times[0] == times[1] != times[2]


def test_trace_keeps_sizes_and_run_times_and_leaves_out_tasks_without_a_gpu(tmp_path: Path) -> None:
    rows = ["a,1,1,1,500,,LS,Running,0,100,0", "b,1,1,0,0,,LS,Running,5,50,5", "c,1,1,2,1000,,LS,Running,10,70,20"]
    path = tmp_path / "trace.csv"
    path.write_text("\n".join([HEADER, *rows]))
    tasks = public_trace(path, 0, SMALL, tasks=10)
    assert [(t.job.needs.gpus, t.job.needs.gpu_memory_bytes, t.seconds) for t in tasks] == [
        (1, 8 * GIB, 100.0),
        (2, None, 50.0),
    ]


def test_measures_of_a_lab_without_a_queue_are_ideal(week: list[Task]) -> None:
    roomy = Machines(50, 8, 80 * GIB)
    found = measured(Replay(week, roomy, POLICIES["shipped"], tick_seconds=0.5).run())
    assert found.wait_p99 <= 1
    assert found.jain > 0.99


def test_jains_index_and_the_interval_of_a_mean() -> None:
    assert jain([1, 1, 1, 1]) == 1
    assert jain([1, 0, 0, 0]) == 0.25
    assert interval([1.0, 3.0]) == pytest.approx((2.0, 12.71), rel=0.01)


def test_command_writes_every_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, picture = tmp_path / "out.json", tmp_path / "out.png"
    given = ["--nodes=1", "--gpus=2", "--students=5", "--load=0.02", "--seeds=2", f"--json={path}", f"--plot={picture}"]
    assert main(given) == 0
    report = json.loads(path.read_text())
    assert report["policies"].keys() == POLICIES.keys()
    assert all(len(each) == 2 for each in report["policies"].values())
    assert "round-robin" in capsys.readouterr().out
    assert picture.stat().st_size > 1000
