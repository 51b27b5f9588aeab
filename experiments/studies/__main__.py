"""`python -m experiments.studies TEMPLATE`: answer installed questions on this machine, without a lab."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.datasets.inventory import available_datasets
from experiments.studies.local import Machine, carry_out
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import PlanError, RunPlan, Scale
from experiments.studies.report_job import SLUG, report_spec
from experiments.studies.templates import expand
from gpulab.run.files import ARTIFACTS_FOLDER
from gpulab.words import counted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a template and write `report.html`, `report.md` and `findings.json` into `--out`."""
    parser = argparse.ArgumentParser(prog="python -m experiments.studies", description=main.__doc__)
    parser.add_argument("template", help="a question, a part or all of a question set: course/1b, course/4, course/all")
    parser.add_argument("--scale", type=Scale, choices=list(Scale), default=Scale.SMOKE)
    parser.add_argument("--seeds", type=int, nargs="+", help="seeds (default: those of the scale)")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and report; finished runs are kept")
    parser.add_argument("--datasets", type=Path, default=Path("datasets"), help="folder of data sets")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--slots", type=int, default=2, help="runs at the same time")
    chosen = parser.parse_args(arguments)
    try:
        plan = expand(chosen.template, chosen.scale, chosen.seeds, available_datasets(chosen.datasets))
    except PlanError as error:
        parser.exit(2, f"{chosen.template}: {error}\n")
    machine = Machine((chosen.out / "runs").resolve(), chosen.datasets.resolve(), chosen.slots, device=chosen.device)
    started = time.perf_counter()
    outcomes = carry_out(plan.runs, machine, _tell)
    print(f"{counted(len(outcomes), 'run')} in {time.perf_counter() - started:.0f} s")  # noqa: T201
    rendering = RunPlan(SLUG, report_spec(plan, outcomes), 0)
    rendered = carry_out([rendering], machine)[0]
    if rendered.result is None:
        print(f"the report failed: {rendered.why_not}", file=sys.stderr)  # noqa: T201
        return 1
    shutil.copytree(machine.place(rendering) / ARTIFACTS_FOLDER, chosen.out, dirs_exist_ok=True)
    print(f"{rendered.result['verdicts']}; see {chosen.out / 'report.html'}")  # noqa: T201
    return 0


def _tell(outcome: RunOutcome) -> None:
    questions = " ".join(outcome.questions)
    seconds = f"{outcome.duration_seconds:6.1f} s" if outcome.duration_seconds is not None else "       "
    print(f"{outcome.state:10}{seconds}  {questions:12}  {outcome.cell} {outcome.why_not}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
