"""`python -m benchmarks.simulation [--trace FILE]`: the scheduler beside other policies, into docs/scheduling.md.

Replays generated weeks of a class, and stretches of the public trace at four loads where its file is given.
Keeps every measure in benchmarks/results/simulation.json, puts the tables between the page's markers and draws the
waiting times. `--render` only does the latter two.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.simulate.__main__ import interval, options, simulate
from benchmarks.simulate.plot import draw

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "simulation.json"
PAGE = ROOT / "docs" / "scheduling.md"
PICTURE = ROOT / "docs" / "pictures" / "waiting-times.png"
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"
HELD_OUT_SEED = 1000
"""The policy was tuned on seeds from 100 on; these weeks it never saw."""
CLASS_LOADS = (1.0,)
TRACE_LOADS = (0.6, 0.8, 1.0, 1.2)
TRACE_STRETCHES = 12
TICK = "--tick-seconds=10"
TITLES = {"class": "Deadline weeks of a class of 120, generated", "trace": "Stretches of 500 tasks of the public trace"}
COLUMNS = {
    "wait_mean": ("mean wait", "{:,.0f} s"),
    "wait_p50": ("p50", "{:,.0f} s"),
    "wait_p95": ("p95", "{:,.0f} s"),
    "wait_p99": ("p99", "{:,.0f} s"),
    "wait_p99_modest": ("p99 of the modest", "{:,.0f} s"),
    "jain": ("Jain's index", "{:.3f}"),
    "utilisation": ("utilisation", "{:.3f}"),
    "fragmentation": ("fragmentation", "{:.4f}"),
    "makespan": ("makespan", "{:,.0f} s"),
}
DIFFERENCES = {
    "wait_mean": ("mean wait", "{:+,.0f} ± {:,.0f} s"),
    "wait_p95": ("p95", "{:+,.0f} ± {:,.0f} s"),
    "wait_p99": ("p99", "{:+,.0f} ± {:,.0f} s"),
    "wait_p99_modest": ("p99 of the modest", "{:+,.0f} ± {:,.0f} s"),
    "jain": ("Jain's index", "{:+.3f} ± {:.3f}"),
    "makespan": ("makespan", "{:+,.0f} ± {:,.0f} s"),
}

HOW_OFTEN = {"": ("our mean wait was shorter", "")}


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the scheduler for the docs.")
    parser.add_argument("--trace", type=Path, help="openb_pod_list_default.csv of the public trace")
    parser.add_argument("--seeds", type=int, default=10, help="generated weeks")
    parser.add_argument("--render", action="store_true", help="only put the kept results into the page")
    chosen = parser.parse_args()
    if not chosen.render:
        kept: dict[str, Any] = {"machine": machine.describe(), "commit": machine.commit(), "reports": []}
        for report in reports(chosen):
            kept["reports"].append(report)
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    PAGE.write_text(rendered(PAGE.read_text(), results))
    draw(results["reports"], PICTURE)
    return 0


def reports(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One for each workload and load."""
    weeks = [f"--seeds={chosen.seeds}", f"--first-seed={HELD_OUT_SEED}"]
    for load in CLASS_LOADS:
        yield simulate(options([*weeks, TICK, f"--load={load}"]))
    stretches = [f"--trace={chosen.trace}", f"--seeds={TRACE_STRETCHES}", "--nodes=2", "--gpus=8"]
    for load in TRACE_LOADS if chosen.trace is not None else ():
        yield simulate(options([*stretches, TICK, f"--load={load}"]))


def rendered(page: str, results: dict[str, Any]) -> str:
    """The page with these results between the markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/scheduling.md needs the lines {BEGIN} and {END}")
    told = results["machine"]
    where = f"Replayed on {told['cores']} cores of {told['processor']} with Python {told['python']}, commit"
    parts = [line for report in results["reports"] for line in ("", *_of_report(report))]
    return before + "\n".join([BEGIN, *parts, "", f"{where} {results['commit']}.", END]) + after


def _of_report(report: dict[str, Any]) -> list[str]:
    where = f"{report['nodes']} nodes of {report['gpus']} GPUs"
    seeds = f"seeds {report['first_seed']} to {report['first_seed'] + report['seeds'] - 1}"
    title = (
        f"**{TITLES[report['workload']]}, load {report['load']:g}**: {report['jobs']:,} jobs in all, {where}, {seeds}."
    )
    policies = report["policies"]
    means = {name: [_mean(every, *column) for column in _of(COLUMNS)] for name, every in policies.items()}
    less = {
        name: [_difference(every, policies["shipped"], *column) for column in _of(DIFFERENCES)]
        for name, every in policies.items()
        if name != "shipped"
    }
    for name, cells in less.items():
        cells.append(_how_often(policies[name], policies["shipped"]))
    ours = (
        "Difference from the shipped policy over all replays, with the 95 % interval of its mean. Positive: the "
        "shipped policy waits less, or has the lower Jain's index."
    )
    return [title, "", *_table(COLUMNS, means), "", ours, "", *_table(DIFFERENCES | HOW_OFTEN, less)]


def _of(columns: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    return [(key, form) for key, (_, form) in columns.items()]


def _table(columns: dict[str, tuple[str, str]], rows: dict[str, list[str]]) -> list[str]:
    names = ["policy", *(words for words, _ in columns.values())]
    lines = [f"| {' | '.join([name, *cells])} |" for name, cells in rows.items()]
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|", *lines]


def _mean(every: Sequence[dict[str, float]], key: str, form: str) -> str:
    return form.format(statistics.fmean(each[key] for each in every))


def _difference(every: Sequence[dict[str, float]], ours: Sequence[dict[str, float]], key: str, form: str) -> str:
    return form.format(*interval([each[key] - own[key] for each, own in zip(every, ours, strict=True)]))


def _how_often(every: Sequence[dict[str, float]], ours: Sequence[dict[str, float]]) -> str:
    shorter = sum(own["wait_mean"] < each["wait_mean"] for each, own in zip(every, ours, strict=True))
    return f"in {shorter} of {len(ours)}"


if __name__ == "__main__":
    sys.exit(main())
