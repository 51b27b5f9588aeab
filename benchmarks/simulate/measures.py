"""What a replay comes to: waiting times, fairness, utilisation, fragmentation, makespan."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.simulate.replay import History, Run
from scheduler.planning.terms import User


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one replay. Waiting is from submission to start, in seconds."""

    wait_mean: float
    wait_p50: float
    wait_p95: float
    wait_p99: float
    wait_p99_modest: float
    """Of the jobs of those who ask for no more than an equal part of what is asked for."""
    wait_mean_of_users: float
    """Each user's mean counts once, however many jobs they submit."""
    jain: float
    """Jain's index over users of the mean part of their jobs' time that was not waiting; 1 when all fare the same."""
    utilisation: float
    """Part of the lab that was held, from the first submission to the last end."""
    fragmentation: float
    """Part of the lab that was free and of no use to what is asked for, while jobs waited."""
    makespan: float


def measured(history: History) -> Measures:
    own: dict[User, list[Run]] = defaultdict(list)
    for run in history.runs:
        own[run.task.job.user].append(run)
    waits = sorted(run.waited for run in history.runs)
    first = min(run.task.job.submitted_time for run in history.runs)
    makespan = max(run.ended for run in history.runs) - first
    held = sum(map(_held, history.runs))
    modest = [runs for runs in own.values() if sum(map(_held, runs)) <= held / len(own)]
    return Measures(
        wait_mean=statistics.fmean(waits),
        wait_p50=percentile(waits, 0.50),
        wait_p95=percentile(waits, 0.95),
        wait_p99=percentile(waits, 0.99),
        wait_p99_modest=percentile(sorted(run.waited for runs in modest for run in runs), 0.99),
        wait_mean_of_users=statistics.fmean(statistics.fmean(run.waited for run in runs) for runs in own.values()),
        jain=jain([statistics.fmean(map(_served, runs)) for runs in own.values()]),
        utilisation=held / makespan,
        fragmentation=history.fragmented / history.contended_seconds if history.contended_seconds else 0.0,
        makespan=makespan,
    )


def _held(run: Run) -> float:
    return run.placement.share * run.task.seconds


def _served(run: Run) -> float:
    """The part of the job's time that was not waiting."""
    return run.task.seconds / (run.task.seconds + run.waited)


def jain(values: Sequence[float]) -> float:
    """Jain, Chiu and Hawe 1984: 1 when all are equal, 1/n when one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def percentile(ordered: Sequence[float], part: float) -> float:
    """Nearest rank."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
