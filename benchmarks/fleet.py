"""Twenty machines of four GPUs and a Celery message a job: how fast jobs go through, how long the scheduler looks."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg

from benchmarks.figures import Figure, median_figure
from tests.fakes.nvml import GIB
from tests.lab import wait_until
from tests.simulated import COUNT, GPUS, SimulatedLab, doubled, overfull

JOB_SECONDS = 0.5
ROUND_SECONDS = 60.0
"""A round that takes longer has failed."""
ROUND = """
SELECT extract(epoch FROM max(finished_at) - min(submitted_at)), count(*), count(DISTINCT node), max(attempt)
FROM jobs WHERE %s = ANY (tags)
"""
BELL = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM claimed_at - granted_at)),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM claimed_at - granted_at))
FROM leases
"""


def measure(*, quick: bool) -> list[Figure]:
    rounds, jobs = (1, 100) if quick else (5, 300)
    with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as name:
        folder = Path(name)
        ticks_file = folder / "ticks"
        settings = {"GPULAB_TICK_SECONDS": "1", "GPULAB_RING_AGAIN_SECONDS": "3", "GPULAB_TICKS_FILE": str(ticks_file)}
        lab = SimulatedLab(folder, durable=True, scheduler="benchmarks.timed_scheduler", **settings)
        try:
            lab.start_all(seconds=JOB_SECONDS)
            rates, machines = zip(*(through(lab, jobs, f"round-{number}") for number in range(rounds)), strict=True)
            with psycopg.connect(lab.postgres.url) as session:
                assert doubled(session) == []
                assert overfull(session) == []
                bell = session.execute(BELL).fetchone() or (0.0, 0.0)
        finally:
            lab.stop()
        looks = [line.split() for line in ticks_file.read_text().splitlines()]
    messages = sum(int(sent) for _, sent in looks) / rounds
    return [
        _rate(rates, min(machines), jobs, messages, bell),
        _look([float(seconds) * 1000 for seconds, _ in looks], jobs),
    ]


def through(lab: SimulatedLab, jobs: int, tag: str) -> tuple[float, int]:
    """Submit `jobs` in one go and wait for all; none runs twice. Returns jobs per second and the machines in use."""
    for number in range(jobs):
        lab.submit("probe-gpu", gpus=1, tags=[tag], gpu_memory_bytes=(10 + number % 3 * 10) * GIB)
    wait_until(lambda: ended(lab), timeout_seconds=ROUND_SECONDS, what="every job done")
    with psycopg.connect(lab.postgres.url) as session:
        row = session.execute(ROUND, [tag]).fetchone()
    assert row is not None
    seconds, count, nodes, attempts = row
    assert (count, attempts) == (jobs, 1), row
    return float(count / seconds), nodes


def ended(lab: SimulatedLab) -> bool:
    """Looked at rarely: the looking is work for the same cores."""
    time.sleep(0.3)
    return lab.unfinished() == 0


def _rate(rates: Sequence[float], machines: int, jobs: int, messages: float, bell: Any) -> Figure:
    """`messages` are those of one round; `machines` those that had a job in the round that needed the fewest."""
    beside = {
        "machines": float(machines),
        "messages_per_second": median(rates) * messages / jobs,
        "bell_to_claim_p50_ms": float(bell[0]) * 1000,
        "bell_to_claim_p95_ms": float(bell[1]) * 1000,
    }
    what = f"{jobs} jobs through {COUNT} simulated machines of {GPUS} GPUs, a Celery message each"
    return median_figure("fleet", what, "jobs/s", "higher", rates, beside=beside)


def _look(looks_ms: list[float], jobs: int) -> Figure:
    what = f"one look of the scheduler meanwhile, up to {jobs} jobs waiting: read, plan, lease, ring"
    beside = {
        "looks": float(len(looks_ms)),
        "look_p95_ms": quantiles(looks_ms, n=20, method="inclusive")[-1],
        "longest_look_ms": max(looks_ms),
    }
    return median_figure("fleet_look", what, "ms", "lower", looks_ms, beside=beside)
