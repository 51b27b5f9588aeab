"""The simulator: seeded, complete, and through the planner's own rules."""

import json
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from benchmarks.simulate.__main__ import interval, main
from benchmarks.simulate.measures import jain, measured
from benchmarks.simulate.policies import POLICIES, Look
from benchmarks.simulate.replay import Replay
from benchmarks.simulate.workload import GIB, Machines, Task, deadline_week, public_trace
from scheduler.planning.room import GpuRoom, NodeRoom, Stay
from scheduler.planning.terms import Needs, User, Waiting

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


def waiting(number: int, user: User, *, gpus: int = 1) -> Waiting:
    return Waiting(UUID(int=number), user, Needs(gpus=gpus), time_limit_seconds=60.0, submitted_time=float(number))


@pytest.mark.parametrize(("name", "placed"), [("fifo", []), ("round-robin", [4, 2]), ("best-fit", [2, 3])])
def test_policies_differ_in_who_is_next(name: str, placed: list[int]) -> None:
    busy, other = User(UUID(int=1)), User(UUID(int=2))
    queue = [waiting(1, busy, gpus=3), waiting(2, busy), waiting(3, busy), waiting(4, other)]
    room = NodeRoom("n", 0, frozenset(), gpus=[GpuRoom(f"n/{n}", 16 * GIB) for n in range(3)])
    room.gpus[0].take(Stay(0.0, 1000.0, None))
    found = POLICIES[name](Look(queue, [room], 10.0, {busy: 3}))
    assert [placement.job_id.int for placement in found] == placed


def test_same_seed_gives_the_same_week_and_another_seed_another(week: list[Task]) -> None:
    again, other = (deadline_week(seed, SMALL, students=10, load=0.05) for seed in (1, 2))
    times = [[(task.job.submitted_time, task.seconds) for task in each] for each in (week, again, other)]
    assert times[0] == times[1] != times[2]


def trace(tmp_path: Path, *rows: tuple[int, int, int, int]) -> Path:
    """A file as the public one: GPUs, thousandths of each, arrival and run time of each task."""
    path = tmp_path / "trace.csv"
    lines = [f"t,1,{gpus},{gpus},{part},,LS,Running,{at},{at + 5 + ran},{at + 5}" for gpus, part, at, ran in rows]
    path.write_text("\n".join([HEADER, *lines]))
    return path


LATE = 10_000_000


def test_trace_keeps_sizes_and_run_times_and_leaves_out_what_is_no_part_of_its_load(tmp_path: Path) -> None:
    services = 30 * 86_400
    rows = [(1, 500, LATE, 100), (0, 0, LATE + 5, 45), (2, 1000, LATE + 10, 50), (1, 1000, LATE + 20, services)]
    tasks = public_trace(trace(tmp_path, (1, 1000, 0, 9), *rows), 0, SMALL, tasks=10)
    assert [(t.job.needs.gpus, t.job.needs.gpu_memory_bytes, t.seconds) for t in tasks] == [
        (1, 8 * GIB, 100.0),
        (2, None, 50.0),
        (1, None, 86_400.0),
    ]
    assert all(task.seconds <= task.job.time_limit_seconds <= 3 * task.seconds for task in tasks)


@pytest.mark.parametrize("load", [0.6, 1.2])
def test_arrivals_of_the_trace_ask_for_the_load(tmp_path: Path, load: float) -> None:
    rows = [(1, 500, LATE + 10 * n * n, 300) for n in range(50)]
    tasks = public_trace(trace(tmp_path, *rows), 0, SMALL, tasks=50, load=load)
    span = tasks[-1].job.submitted_time - tasks[0].job.submitted_time
    assert sum(0.5 * task.seconds for task in tasks) / (span * SMALL.every_gpu) == pytest.approx(load)
    gaps = [b.job.submitted_time - a.job.submitted_time for a, b in pairwise(tasks)]
    assert gaps[10] / gaps[0] == pytest.approx(21)


def test_seeds_of_the_trace_share_no_task_and_equal_requests_are_one_users(tmp_path: Path) -> None:
    path = trace(tmp_path, *((1 + n % 2, 1000, LATE + n, 100 + n) for n in range(9)))
    stretches = [public_trace(path, seed, SMALL, tasks=3) for seed in range(4)]
    ran = [[task.seconds for task in stretch] for stretch in stretches]
    assert ran == [[100, 101, 102], [103, 104, 105], [106, 107, 108], [100, 101, 102]]
    users = [task.job.user for task in stretches[0]]
    assert users[0] is users[2]
    assert users[0] is not users[1]


def test_file_that_is_no_trace_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.csv"
    path.write_text("name,gpu\na,1\n")
    assert main([f"--trace={path}"]) == 2
    assert "lacks cpu_milli" in capsys.readouterr().err
    assert main([f"--trace={tmp_path / 'none.csv'}"]) == 2


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
