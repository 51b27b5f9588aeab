"""Workloads: a class's deadline week, generated, and the public trace of a GPU-sharing cluster."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from uuid import UUID

from gpulab.states import Priority
from scheduler.planning.terms import Needs, User, Waiting

GIB = 2**30
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Machines:
    """The number of nodes of this kind."""

    nodes: int
    gpus: int
    gpu_bytes: int

    @property
    def every_gpu(self) -> int:
        return self.nodes * self.gpus


@dataclass(frozen=True, slots=True)
class Task:
    """A job of the workload, and how long it will really run, which no planner knows."""

    job: Waiting
    seconds: float


@dataclass(slots=True)
class _Shapes:
    known: dict[tuple[int, int | None], Needs] = field(default_factory=dict)

    def of(self, gpus: int, needed_bytes: int | None) -> Needs:
        return self.known.setdefault((gpus, needed_bytes), Needs(gpus, needed_bytes))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of homework job: GPUs, GiB on each (null for whole ones), median seconds, how common it is."""

    gpus: int
    gib: int | None
    median_seconds: float
    part: float


HOMEWORK = (
    Kind(1, 2, 90, 0.30),
    Kind(1, 6, 300, 0.30),
    Kind(1, 16, 900, 0.15),
    Kind(1, 40, 1800, 0.07),
    Kind(1, None, 240, 0.12),
    Kind(2, None, 1200, 0.04),
    Kind(4, None, 1800, 0.02),
)


def deadline_week(seed: int, machines: Machines, *, students: int = 300, load: float = 1.2) -> list[Task]:
    """Jobs of a week that ends with a deadline.

    Students come when they are awake, most of them on the last day, and submit bursts of one kind; one in twenty
    submits ten times as much. `load` is the work of the whole week over what the lab can do in its last two days.
    """
    generator = random.Random(seed)
    shapes, tasks, work = _Shapes(), list[Task](), 0.0
    users = [User(UUID(int=number + 1)) for number in range(students)]
    eager = list(accumulate(10.0 if generator.random() < 0.05 else generator.lognormvariate(0, 0.7) for _ in users))
    sizes = list(accumulate(kind.part for kind in HOMEWORK))
    wanted = load * 2 * DAY * machines.every_gpu
    while work < wanted:
        user = generator.choices(users, cum_weights=eager)[0]
        kind = generator.choices(HOMEWORK, cum_weights=sizes)[0]
        submitted = _waking_time(generator)
        patient = generator.random() < 0.1
        needs = shapes.of(min(kind.gpus, machines.gpus), kind.gib and min(kind.gib * GIB, machines.gpu_bytes))
        for _ in range(min(20, 1 + int(generator.expovariate(1 / 3)))):
            seconds = kind.median_seconds * generator.lognormvariate(0, 0.6)
            tasks.append(
                _task(
                    submitted=submitted + generator.random(),
                    user=user,
                    needs=needs,
                    seconds=seconds,
                    # Many leave the default of an hour, the others are generous.
                    limit=max(seconds, generator.choice((3600.0, seconds * generator.uniform(1.2, 4)))),
                    priority=Priority.LOW if patient else Priority.NORMAL,
                )
            )
            part = 1.0 if needs.gpu_memory_bytes is None else needs.gpu_memory_bytes / machines.gpu_bytes
            work += (needs.gpus or 0) * part * seconds
    return _in_order(tasks)


def _waking_time(generator: random.Random) -> float:
    """Seconds since the beginning of the week; the deadline is at its end, on the evening of the seventh day."""
    while True:
        before_deadline = generator.expovariate(1 / (1.2 * DAY))
        hour = (20.0 - before_deadline / 3600) % 24
        if before_deadline < 7 * DAY and generator.random() < (1.0 if 9 <= hour < 24 else 0.1):
            return 7 * DAY - before_deadline


MAX_SECONDS = DAY
"""Tasks of the trace that ran longer are cut: services, which would hold a small lab for months."""


def public_trace(path: Path, seed: int, machines: Machines, *, tasks: int = 500, load: float = 1.0) -> list[Task]:
    """A stretch of the Alibaba GPU-sharing trace of 2023 (`openb_pod_list_default.csv`).

    The seeds count up stretches that have no task in common, and begin anew when there are no more.

    Sizes, order, bursts and run times (of a day at most) are the trace's; memory is the asked part of a GPU. The
    traced cluster had 6,212 GPUs, so the arrivals are drawn closer together or further apart, all by one factor, until
    they ask for `load` times what the lab can do from the first arrival to the last. The trace names no users: tasks
    with one and the same request (cores, memory, GPUs, part of one, model, class) count as one user's, as who sends
    a template again and again. Time limits are one to three times the run time. Tasks without a GPU are left out.
    """
    generator = random.Random(seed)
    rows = _gpu_tasks(path)
    start = seed % max(1, len(rows) // tasks) * tasks
    shapes = _Shapes()
    users: dict[tuple[str, ...], User] = {}
    made, work = [], 0.0
    for row in rows[start : start + tasks]:
        seconds = min(MAX_SECONDS, max(1.0, float(row["deletion_time"]) - float(row["scheduled_time"])))
        count, part = min(int(row["num_gpu"]), machines.gpus), min(1.0, int(row["gpu_milli"]) / 1000)
        work += count * part * seconds
        asked = tuple(row[column] for column in REQUEST)
        made.append(
            _task(
                submitted=float(row["creation_time"]),
                user=users.setdefault(asked, User(UUID(int=len(users) + 1))),
                needs=shapes.of(count, None if part == 1.0 else int(part * machines.gpu_bytes)),
                seconds=seconds,
                limit=seconds * generator.uniform(1, 3),
                priority=Priority.NORMAL,
            )
        )
    return _squeezed(made, work / (load * machines.every_gpu))


REQUEST = ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "qos")


def _gpu_tasks(path: Path) -> list[dict[str, str]]:
    """The rows that were ever placed on a GPU, by arrival. Raises `ValueError` where it is another kind of file."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {*REQUEST, "creation_time", "scheduled_time", "deletion_time"} - {*(reader.fieldnames or ())}
        if missing:
            raise ValueError(f"{path} does not list the trace's tasks: it lacks {', '.join(sorted(missing))}")
        rows = [row for row in reader if int(row["num_gpu"]) and row["scheduled_time"] and _in_earnest(row)]
    rows.sort(key=lambda row: float(row["creation_time"]))
    if not rows:
        raise ValueError(f"{path} has no task with a GPU")
    return rows


def _in_earnest(row: Mapping[str, str]) -> bool:
    """Whether it came when the trace tells of all tasks: of those of the first 116 days only a few that lived on."""
    return float(row["creation_time"]) >= 10_000_000.0


def _squeezed(tasks: Sequence[Task], span_seconds: float) -> list[Task]:
    """The tasks with their arrivals spread over this number of seconds."""
    first, last = tasks[0].job.submitted_time, tasks[-1].job.submitted_time
    scale = span_seconds / max(1.0, last - first)
    return _in_order(
        [
            replace(task, job=replace(task.job, submitted_time=(task.job.submitted_time - first) * scale))
            for task in tasks
        ]
    )


def _in_order(tasks: Sequence[Task]) -> list[Task]:
    """By submission, numbered in that order."""
    ordered = sorted(tasks, key=lambda task: task.job.submitted_time)
    return [replace(task, job=replace(task.job, id=UUID(int=number))) for number, task in enumerate(ordered, 1)]


def _task(*, submitted: float, user: User, needs: Needs, seconds: float, limit: float, priority: Priority) -> Task:
    return Task(Waiting(UUID(int=0), user, needs, limit, submitted, priority), seconds)
