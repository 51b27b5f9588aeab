"""`python -m benchmarks.simulate`: the shipped policy beside others, over several seeds."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.simulate.measures import Measures, measured
from benchmarks.simulate.policies import POLICIES
from benchmarks.simulate.replay import Replay
from benchmarks.simulate.workload import GIB, Machines, Task, deadline_week, public_trace
from gpulab.words import counted

T_95 = (
    12.71,
    4.30,
    3.18,
    2.78,
    2.57,
    2.45,
    2.36,
    2.31,
    2.26,
    2.23,
    2.20,
    2.18,
    2.16,
    2.14,
    2.13,
    2.12,
    2.11,
    2.10,
    2.09,
)
"""Student's t for 95 % with 1 to 19 degrees of freedom; beyond that 2.09 is a little too wide."""
SHOWN = (
    "wait_mean",
    "wait_p50",
    "wait_p95",
    "wait_p99",
    "wait_p99_modest",
    "jain",
    "utilisation",
    "fragmentation",
    "makespan",
)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options(arguments)
    try:
        report = simulate(chosen)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"simulate: {error}\n")
        return 2
    if chosen.json is not None:
        text = json.dumps(report, indent=1) + "\n"
        sys.stdout.write(text) if str(chosen.json) == "-" else chosen.json.write_text(text, encoding="utf-8")
    if str(chosen.json) != "-":
        console = Console()
        (console if console.is_terminal else Console(width=200)).print(as_table(report))
    if chosen.plot is not None:
        from benchmarks.simulate.plot import draw

        draw([report], chosen.plot)
    return 0


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, or what is given in its place."""
    return _parser().parse_args(arguments)


def simulate(chosen: argparse.Namespace) -> dict[str, Any]:
    """Every policy over every seed: what was asked, each replay's measures, and the waiting times for a plot."""
    machines = Machines(chosen.nodes, chosen.gpus, chosen.gpu_gib * GIB)
    found: dict[str, list[Measures]] = {name: [] for name in POLICIES}
    waits: dict[str, list[float]] = {name: [] for name in POLICIES}
    jobs = 0
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.seeds):
        tasks = _tasks(chosen, seed, machines)
        jobs += len(tasks)
        for name, policy in POLICIES.items():
            history = Replay(tasks, machines, policy, tick_seconds=chosen.tick_seconds).run()
            found[name].append(measured(history))
            waits[name] += [run.waited for run in history.runs]
    return {
        "workload": "trace" if chosen.trace else "class",
        "seeds": chosen.seeds,
        "first_seed": chosen.first_seed,
        "jobs": jobs,
        "nodes": chosen.nodes,
        "gpus": chosen.gpus,
        "load": chosen.load,
        "policies": {name: [asdict(each) for each in every] for name, every in found.items()},
        "wait_quantiles": {name: _quantiles(sorted(each)) for name, each in waits.items()},
    }


def as_table(report: dict[str, Any]) -> Table:
    """Means over the seeds; of the mean wait also how much longer than the shipped policy's it is, seed by seed."""
    where = f"{report['nodes']} x {report['gpus']} GPUs"
    title = f"{report['workload']}: {report['jobs']:,} jobs, {counted(report['seeds'], 'seed')}, {where}"
    table = Table(title=title, caption="waits and makespan in seconds; ± is the 95 % interval of the paired difference")
    table.add_column("policy", no_wrap=True)
    for name in (*SHOWN, "mean wait - shipped"):
        table.add_column(name.replace("_", " "), justify="right")
    shipped = report["policies"]["shipped"]
    for name, every in report["policies"].items():
        means = [statistics.fmean(each[field] for each in every) for field in SHOWN]
        longer = interval([each["wait_mean"] - ours["wait_mean"] for each, ours in zip(every, shipped, strict=True)])
        difference = "" if name == "shipped" else f"{longer[0]:+,.0f} ± {longer[1]:,.0f}"
        table.add_row(name, *(f"{mean:.3f}" if mean < 2 else f"{mean:,.0f}" for mean in means), difference)
    return table


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval (Student's t); infinite for a single value."""
    if len(values) < 2:
        return values[0], float("inf")
    factor = T_95[len(values) - 2] if len(values) - 2 < len(T_95) else T_95[-1]
    return statistics.fmean(values), factor * statistics.stdev(values) / len(values) ** 0.5


def _tasks(chosen: argparse.Namespace, seed: int, machines: Machines) -> list[Task]:
    if chosen.trace is not None:
        return public_trace(chosen.trace, seed, machines, tasks=chosen.jobs, load=chosen.load)
    return deadline_week(seed, machines, students=chosen.students, load=chosen.load)


def _quantiles(ordered: Sequence[float]) -> list[float]:
    """A hundred points of the distribution, enough for a curve."""
    return [round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)], 1) for part in range(101)]


def at_least(least: float, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    """Reads a number of the command line that must not be smaller."""

    def read(text: str) -> float:
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulate",
        description="Replay a workload through the planner, under its policy and under others.",
    )
    parser.add_argument("--trace", type=Path, help="openb_pod_list_default.csv of the Alibaba GPU-sharing trace")
    parser.add_argument("--nodes", type=at_least(1), default=2)
    parser.add_argument("--gpus", type=at_least(1), default=4, help="GPUs of each node")
    parser.add_argument("--gpu-gib", type=at_least(1), default=80, help="memory of each GPU in GiB")
    parser.add_argument("--seeds", type=at_least(1), default=3, help="replays, each of a different workload")
    parser.add_argument("--first-seed", type=at_least(0), default=0, help="the seed of the first replay")
    parser.add_argument("--students", type=at_least(1), default=120, help="users of the generated class")
    parser.add_argument("--jobs", type=at_least(2), default=500, help="tasks of the trace in one replay")
    parser.add_argument("--load", type=at_least(0.01, float), default=1.0, help="work over what the lab can do")
    parser.add_argument(
        "--tick-seconds", type=at_least(0.1, float), default=5.0, help="virtual time between two looks at the queue"
    )
    parser.add_argument("--json", type=Path, help="file for every measure of every replay; - prints it")
    parser.add_argument("--plot", type=Path, help="file for an image of the waiting times")
    return parser


if __name__ == "__main__":
    sys.exit(main())
