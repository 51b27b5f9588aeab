"""What the homework costs: CPU seconds of its runs, question by question.

    python -m benchmarks.homework --scale cpu --datasets FOLDER --out study/

Runs what the folder lacks, `--slots` at once with one thread each, as a lab on as many cores does, and reads the rest.
CPU time (user and system, of the run's own process) hardly depends on who else uses the machine; what two idle cores
take is about half of it. A run that several questions share is counted for the first of them.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from experiments.contract import OUTPUT_FILE
from experiments.datasets.inventory import available_datasets
from experiments.studies.local import Machine, carry_out
from experiments.studies.plan import RunPlan, Scale
from experiments.studies.templates import expand


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the runs that one question reads and none before it."""

    question: str
    runs: int
    cpu_seconds: float
    longest_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.homework", description=main.__doc__)
    parser.add_argument("--only", default="all", help="a question or a part: 1b, 4, all")
    parser.add_argument("--scale", type=Scale, choices=list(Scale), default=Scale.CPU)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs; finished runs are kept")
    parser.add_argument("--datasets", type=Path, default=Path("datasets"), help="folder of data sets")
    parser.add_argument("--slots", type=int, default=2, help="runs at once")
    chosen = parser.parse_args()
    plan = expand(f"course/{chosen.only}", chosen.scale, datasets=available_datasets(chosen.datasets))
    place = Machine((chosen.out / "runs").resolve(), chosen.datasets.resolve(), chosen.slots)
    outcomes = carry_out(plan.runs, place, lambda outcome: print(outcome.state, outcome.cell, file=sys.stderr))
    found = costs(plan.runs, [_cpu_seconds(place.place(run) / OUTPUT_FILE) for run in plan.runs])
    print("\n".join(as_table(found)))
    about = machine.describe()
    print(f"\n{about['processor']}, torch {about['packages']['torch']}, one thread a run, load {machine.load()}")
    return int(any(outcome.result is None for outcome in outcomes))


def costs(runs: Sequence[RunPlan], seconds: Sequence[float | None]) -> list[Cost]:
    """One a question that is the first of some measured runs, in the order of the questions."""
    by_question: dict[str, list[float]] = {}
    for run, spent in zip(runs, seconds, strict=True):
        if spent is not None:
            by_question.setdefault(run.questions[0], []).append(spent)
    return [Cost(question, len(spent), sum(spent), max(spent)) for question, spent in sorted(by_question.items())]


def as_table(found: Sequence[Cost]) -> list[str]:
    """Markdown, with the sum at its end."""
    rows = [f"| {one.question} | {one.runs} | {one.cpu_seconds:.0f} | {one.longest_seconds:.0f} |" for one in found]
    total = f"| all | {sum(one.runs for one in found)} | {sum(one.cpu_seconds for one in found):.0f} | |"
    return ["| question | runs | CPU seconds | longest run |", "|---|---|---|---|", *rows, total]


def _cpu_seconds(output: Path) -> float | None:
    """What the run's process said at its end; None where it was killed before."""
    told = re.findall(r"^CPU seconds: ([\d.]+)$", output.read_text(), re.MULTILINE) if output.exists() else []
    return float(told[-1]) if told else None


if __name__ == "__main__":
    sys.exit(main())
