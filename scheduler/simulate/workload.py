"""Workloads: a class's deadline week, generated, and the public trace of a GPU-sharing cluster."""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from uuid import UUID

from gpulab.states import Priority
from scheduler.terms import Needs, Person, Waiting

GIB = 2**30
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Machines:
    """So many nodes of the same kind."""

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
    people = [Person(UUID(int=number + 1)) for number in range(students)]
    eager = list(accumulate(10.0 if generator.random() < 0.05 else generator.lognormvariate(0, 0.7) for _ in people))
    sizes = list(accumulate(kind.part for kind in HOMEWORK))
    wanted = load * 2 * DAY * machines.every_gpu
    while work < wanted:
        person = generator.choices(people, cum_weights=eager)[0]
        kind = generator.choices(HOMEWORK, cum_weights=sizes)[0]
        submitted = _waking_time(generator)
        patient = generator.random() < 0.1
        needs = shapes.of(min(kind.gpus, machines.gpus), kind.gib and min(kind.gib * GIB, machines.gpu_bytes))
        for _ in range(min(20, 1 + int(generator.expovariate(1 / 3)))):
            seconds = kind.median_seconds * generator.lognormvariate(0, 0.6)
            tasks.append(
                _task(
                    submitted=submitted + generator.random(),
                    person=person,
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


def public_trace(path: Path, seed: int, machines: Machines, *, tasks: int = 2000, load: float = 1.2) -> list[Task]:
    """A stretch of the Alibaba GPU-sharing trace of 2023 (`openb_pod_list_default.csv`), from where the seed says.

    Sizes, order and run times are the trace's. Its arrivals are drawn closer together until they ask for `load` times
    the lab, since the traced cluster was much larger; its tasks name no users, so they are dealt to fifty invented
    people of unequal zeal; time limits are one to three times the run time. Tasks without a GPU are left out.
    """
    generator = random.Random(seed)
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["num_gpu"]) and row["scheduled_time"]]
    rows.sort(key=lambda row: float(row["creation_time"]))
    start = generator.randrange(max(1, len(rows) - tasks))
    shapes = _Shapes()
    people = [Person(UUID(int=number + 1)) for number in range(50)]
    zeal = list(accumulate(1 / (rank + 1) for rank in range(len(people))))
    made, work = [], 0.0
    for row in rows[start : start + tasks]:
        seconds = max(1.0, float(row["deletion_time"]) - float(row["scheduled_time"]))
        count, part = min(int(row["num_gpu"]), machines.gpus), int(row["gpu_milli"]) / 1000
        whole = count > 1 or part >= 1
        work += count * (1.0 if whole else part) * seconds
        made.append(
            _task(
                submitted=float(row["creation_time"]),
                person=generator.choices(people, cum_weights=zeal)[0],
                needs=shapes.of(count, None if whole else int(part * machines.gpu_bytes)),
                seconds=seconds,
                limit=seconds * generator.uniform(1, 3),
                priority=Priority.NORMAL,
            )
        )
    return _squeezed(made, work / (load * machines.every_gpu))


def _squeezed(tasks: Sequence[Task], span_seconds: float) -> list[Task]:
    """The tasks with their arrivals spread over so many seconds."""
    first, last = tasks[0].job.submitted_time, tasks[-1].job.submitted_time
    scale = span_seconds / max(1.0, last - first)
    return [
        _task(
            submitted=(task.job.submitted_time - first) * scale,
            person=task.job.person,
            needs=task.job.needs,
            seconds=task.seconds,
            limit=task.job.time_limit_seconds,
            priority=task.job.priority,
            number=number,
        )
        for number, task in enumerate(tasks, 1)
    ]


def _task(
    *,
    submitted: float,
    person: Person,
    needs: Needs,
    seconds: float,
    limit: float,
    priority: Priority,
    number: int = 0,
) -> Task:
    return Task(Waiting(UUID(int=number), person, needs, limit, submitted, priority), seconds)


def _in_order(tasks: Sequence[Task]) -> list[Task]:
    """By submission, numbered in that order."""
    ordered = sorted(tasks, key=lambda task: task.job.submitted_time)
    return [
        _task(
            submitted=task.job.submitted_time,
            person=task.job.person,
            needs=task.job.needs,
            seconds=task.seconds,
            limit=task.job.time_limit_seconds,
            priority=task.job.priority,
            number=number,
        )
        for number, task in enumerate(ordered, 1)
    ]
