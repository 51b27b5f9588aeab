"""One call of the planner with a long queue and many machines, and how its time grows with the queue."""

import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from benchmarks.figures import Figure, median_figure
from gpulab.states import Priority
from scheduler.planning.plan import plan
from scheduler.planning.room import GpuRoom, NodeRoom, Stay
from scheduler.planning.terms import Needs, User, Waiting

GPUS_A_NODE, GPUS, USERS, JOBS = 8, 1000, 1000, 100_000
GIB = 2**30
SIZES_GIB = (None, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80)
DATASETS: tuple[tuple[str, ...], ...] = ((), ("cifar10",), ("mnist",))
QUEUED_SECONDS = 2 * 86_400.0
"""How long ago the oldest was submitted; the older half is promised a start if it comes to that."""
LIMITS_SECONDS = (300, 900, 3600, 4 * 3600)


def measure(*, quick: bool) -> list[Figure]:
    """Jobs of some hundred shapes before a lab that is full but for one GPU in a hundred: what a tick finds.

    Beside it: telling every job its reason, as a tick does that finds them all changed; a queue whose last job alone
    could start, so that all are looked at; and the rare burst, two GPUs of three free at once, so that more than a
    thousand jobs start.
    """
    rounds, jobs = (2, 10_000) if quick else (9, JOBS)
    waiting = queue(jobs)
    tenth = queue(jobs // 10)
    last = [*waiting[:-1], replace(waiting[-1], needs=Needs(gpus=0))]
    full, less, told, deep, burst = [], [], [], [], []
    for _ in range(rounds):
        full.append(planned(waiting, machines(0.01)))
        less.append(planned(tenth, machines(0.01)))
        told.append(planned(waiting, machines(0.01), tell=True))
        deep.append(planned(last, machines(0.0)))
        burst.append(planned(waiting, machines(2 / 3)))
    value = statistics.median(full)
    beside = {
        "tenth_of_the_queue_ms": statistics.median(less) * 1000,
        "growth_exponent_of_the_last_tenfold": math.log10(value / statistics.median(less)),
        "with_every_reason_ms": statistics.median(told) * 1000,
        "only_the_last_fits_ms": statistics.median(deep) * 1000,
        "burst_ms": statistics.median(burst) * 1000,
    }
    what = f"plan() with {jobs:,} queued jobs, {USERS:,} users and {GPUS:,} GPUs, one in a hundred free"
    milliseconds = [seconds * 1000 for seconds in full]
    return [median_figure("planning", what, "ms", "lower", milliseconds, bar=100, aim=20, beside=beside)]


def planned(waiting: Sequence[Waiting], nodes: Sequence[NodeRoom], *, tell: bool = False) -> float:
    """CPU seconds of one call: it waits for nothing, and other load on the machine does not lengthen them."""
    start = time.thread_time()
    made = plan(waiting, nodes)
    if tell:
        for job in made.waiting:
            made.wait_of(job)
    elapsed = time.thread_time() - start
    assert len(made.placements) + len(made.waiting) == len(waiting)
    return elapsed


def queue(count: int) -> list[Waiting]:
    """In order of submission, as the database gives them, of users who used unequal parts of the lab."""
    generator = random.Random(0)
    users = [User(UUID(int=number), used_seconds=generator.expovariate(1 / 600)) for number in range(USERS)]
    shapes: dict[tuple[object, ...], Needs] = {}

    def needs() -> Needs:
        size = generator.choice(SIZES_GIB)
        datasets = generator.choice(DATASETS)
        given = (generator.choice((None, 1, 1, 2)), size, generator.random() < 0.05, datasets)
        made = Needs(given[0], size and size * GIB, given[2], frozenset(datasets))
        return shapes.setdefault(given, made)

    classes = list(Priority)
    return [
        Waiting(
            UUID(int=number),
            generator.choice(users),
            needs(),
            generator.choice(LIMITS_SECONDS),
            -QUEUED_SECONDS * (1 - number / count),
            generator.choices(classes, [1, 8, 1])[0],
        )
        for number in range(count)
    ]


def machines(free_share: float) -> list[NodeRoom]:
    generator = random.Random(1)
    rooms = []
    for number in range(GPUS // GPUS_A_NODE):
        gpus = [GpuRoom(f"GPU-{number}-{index}", 80 * GIB) for index in range(GPUS_A_NODE)]
        for gpu in gpus:
            if generator.random() > free_share:
                gpu.take(Stay(-60.0, generator.uniform(1, 3600), None))
        rooms.append(NodeRoom(f"node-{number}", 8, frozenset({"cifar10", "mnist"}), gpus=gpus))
    return rooms
