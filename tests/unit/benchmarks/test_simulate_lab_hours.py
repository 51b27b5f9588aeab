"""A class's week with lab hours, replayed: nobody else starts into them, theirs start with them, nobody starves."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from uuid import UUID

import pytest

from benchmarks.simulate.policies import shipped
from benchmarks.simulate.replay import History, Replay, Run
from benchmarks.simulate.workload import GIB, Machines, Task, deadline_week
from scheduler.planning.terms import LabHours, Needs, User, Waiting

MACHINES = Machines(2, 2, 16 * GIB)
TICK_SECONDS = 5.0
HOUR = 3600.0
SECTION = UUID(int=10**9)
WEEKLY = [LabHours(SECTION, day * 24 * HOUR, day * 24 * HOUR + 2 * HOUR, 2, give_back_seconds=900.0) for day in (1, 2)]
LATE_SECONDS = 2 * TICK_SECONDS
"""A replay looks one tick after each event."""


def of_section(number: int, submitted: float, seconds: float, limit: float = HOUR) -> Task:
    needs = Needs(gpus=1, lab_hours=frozenset({SECTION}))
    return Task(Waiting(UUID(int=10**6 + number), User(UUID(int=10**5 + number)), needs, limit, submitted), seconds)


def replayed(tasks: Sequence[Task]) -> History:
    ordered = sorted(tasks, key=lambda task: task.job.submitted_time)
    return Replay(ordered, MACHINES, shipped, tick_seconds=TICK_SECONDS, lab_hours=WEEKLY).run()


def theirs(run: Run) -> bool:
    return bool(run.task.job.needs.lab_hours)


@pytest.fixture(scope="module", params=[1, 2])
def week(request: pytest.FixtureRequest) -> list[Task]:
    """A busy week, in which every job keeps to its limit."""
    tasks = deadline_week(request.param, MACHINES, students=12, load=0.4)
    return [replace(task, seconds=min(task.seconds, task.job.time_limit_seconds)) for task in tasks]


@pytest.fixture(scope="module")
def history(week: list[Task]) -> History:
    numbers = count(1)
    ahead = [of_section(next(numbers), each.start - 600, 1800.0) for each in WEEKLY for _ in range(2)]
    meanwhile = [of_section(next(numbers), each.start + 60 * n, 240.0) for each in WEEKLY for n in range(30, 40)]
    return replayed([*week, *ahead, *meanwhile])


def test_every_job_starts_once_and_soon_enough(history: History, week: list[Task]) -> None:
    started = [run.task.job.id for run in history.runs]
    assert len(started) == len(set(started)) == len(week) + 24
    without = Replay(week, MACHINES, shipped, tick_seconds=TICK_SECONDS).run()
    longest = max(run.waited for run in without.runs)
    hours = sum(each.end - each.start for each in WEEKLY)
    assert max(run.waited for run in history.runs) <= longest + hours + 24 * HOUR


def test_two_gpus_are_free_of_others_until_they_are_given_back(history: History) -> None:
    for each in WEEKLY:
        kept_until = each.start + each.give_back_seconds
        inside = [
            run for run in history.runs if not theirs(run) and run.started < kept_until and run.ended > each.start
        ]
        assert len({uuid for run in inside for uuid in run.placement.gpu_uuids}) <= MACHINES.every_gpu - 2
        limits = [run.started + run.task.job.time_limit_seconds for run in inside]
        assert all(limit > each.start for limit in limits), "the others use GPUs that are not kept"


def test_theirs_start_within_a_tick_of_the_start(history: History) -> None:
    waited_for = [run for run in history.runs if theirs(run) and run.task.seconds == 1800.0]
    assert len(waited_for) == 4
    for run in waited_for:
        each = next(one for one in WEEKLY if run.task.job.submitted_time + 600 == one.start)
        assert run.started <= each.start + LATE_SECONDS


def test_gpus_that_nobody_uses_are_given_back() -> None:
    """With a queue of long jobs and nobody of the section, the kept GPUs idle for the first minutes alone."""
    crowd = User(UUID(int=1))
    before = [Task(Waiting(UUID(int=n), crowd, Needs(gpus=1), 12 * HOUR, 1.0), 11 * HOUR) for n in range(1, 13)]
    history = replayed(before)
    (first, *_) = WEEKLY
    opened = first.start + first.give_back_seconds
    started = sorted(run.started for run in history.runs if first.start - 12 * HOUR < run.started)
    at_once = [moment for moment in started if opened <= moment <= opened + LATE_SECONDS]
    assert len(at_once) == 2
    assert not [moment for moment in started if first.start <= moment < opened]
