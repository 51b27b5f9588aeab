"""`python -m benchmarks.simulation [--trace FILE]`: the scheduler beside other policies, into docs/scheduling.md.

Replays five generated weeks of a class, and five stretches of the public trace where its file is given; keeps every
measure in benchmarks/results/simulation.json and puts the table between the page's markers. `--render` only does the
latter.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from scheduler.simulate.__main__ import interval, options, simulate

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "simulation.json"
PAGE = ROOT / "docs" / "scheduling.md"
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"
COLUMNS = {
    "wait_mean": ("mean wait", "{:,.0f} s"),
    "wait_p50": ("p50", "{:,.0f} s"),
    "wait_p95": ("p95", "{:,.0f} s"),
    "wait_p99": ("p99", "{:,.0f} s"),
    "jain": ("Jain's index", "{:.3f}"),
    "utilisation": ("utilisation", "{:.3f}"),
    "fragmentation": ("fragmentation", "{:.4f}"),
    "makespan": ("makespan", "{:,.0f} s"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the scheduler for the docs.")
    parser.add_argument("--trace", type=Path, help="openb_pod_list_default.csv of the public trace")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--render", action="store_true", help="only put the kept results into the page")
    chosen = parser.parse_args()
    if not chosen.render:
        seeds = f"--seeds={chosen.seeds}"
        reports = [simulate(options([seeds]))]
        if chosen.trace is not None:
            of_trace = [seeds, f"--trace={chosen.trace}", "--nodes=4", "--gpus=8", "--jobs=400"]
            reports.append(simulate(options(of_trace)))
        for report in reports:
            del report["wait_quantiles"]
        kept = {"machine": machine.describe(), "commit": machine.commit(), "reports": reports}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(rendered(PAGE.read_text(), json.loads(RESULTS.read_text())))
    return 0


def rendered(page: str, results: dict[str, Any]) -> str:
    """The page with these results between the markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/scheduling.md needs the lines {BEGIN} and {END}")
    parts = [line for report in results["reports"] for line in ("", *_of_report(report))]
    return before + "\n".join([BEGIN, *parts, "", END]) + after


def _of_report(report: dict[str, Any]) -> list[str]:
    where = f"{report['nodes']} nodes of {report['gpus']} GPUs"
    how_many = f"{report['seeds']} replays, {report['jobs']:,} jobs in all"
    title = f"**{report['workload']}**: {how_many}, {where}, load {report['load']:g}."
    names = ["policy", *(words for words, _ in COLUMNS.values()), "mean wait less ours", "Jain's index less ours"]
    rows = [_row(name, every, report["policies"]["shipped"]) for name, every in report["policies"].items()]
    return [title, "", f"| {' | '.join(names)} |", "|---" * len(names) + "|", *rows]


def _row(name: str, every: Sequence[dict[str, float]], ours: Sequence[dict[str, float]]) -> str:
    means = [form.format(statistics.fmean(each[key] for each in every)) for key, (_, form) in COLUMNS.items()]
    longer = "" if name == "shipped" else _difference(every, ours, "wait_mean", "{:+,.0f} ± {:,.0f} s")
    fairer = "" if name == "shipped" else _difference(every, ours, "jain", "{:+.3f} ± {:.3f}")
    return f"| {' | '.join([name, *means, longer, fairer])} |"


def _difference(every: Sequence[dict[str, float]], ours: Sequence[dict[str, float]], key: str, form: str) -> str:
    return form.format(*interval([each[key] - own[key] for each, own in zip(every, ours, strict=True)]))


if __name__ == "__main__":
    sys.exit(main())
