"""`gpulab run SPEC.yaml --local`: one run on this machine, without a server."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from experiments.hosting.wire import Disturbed, Ending, Failed, Progress, Record, Stopped, Succeeded
from gpulab.cli.failures import BadInput, ExitCode
from gpulab.cli.session import print_json


def run_here(submission: dict[str, Any], out: Path | None, datasets: Path, *, as_json: bool) -> None:
    """Run it, show its progress and how it ended. Raises BadInput for a spec that cannot be run."""
    from experiments.hosting.local import order_of, run_in

    if find_spec("torch") is None:
        raise BadInput("run --local needs the worker extra: in the checkout, `pip install -e .[worker]`")
    folder = out or Path("runs") / f"{submission['experiment']}-{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005 - local time
    try:
        order = order_of(submission, datasets=datasets, cache=folder.parent / ".cache")
    except ValueError as error:
        raise BadInput(str(error)) from None
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty: name a new folder with --out")
    with _progress(order.experiment) as show:
        ending = run_in(folder, order, None if as_json else show)
    outcome = {"experiment": order.experiment, **_outcome(ending), "out": str(folder)}
    print_json(outcome) if as_json else _print_outcome(outcome)
    if outcome["state"] != "succeeded":
        raise typer.Exit(ExitCode.JOB_FAILED)


def _outcome(ending: Ending | None) -> dict[str, Any]:
    match ending:
        case Succeeded():
            return {"state": "succeeded", "cause": None, "message": None, "result": ending.value}
        case Failed():
            failed = {"state": "failed", "cause": ending.cause, "message": ending.message}
            return failed | ({"failure": ending.failure} if ending.failure else {})
        case Stopped():
            return {"state": "cancelled", "cause": None, "message": ending.message or "stopped"}
        case Disturbed():
            return {"state": "failed", "cause": "lost", "message": ending.message}
    return {"state": "failed", "cause": "lost", "message": "the process ended without a result or an error"}


@contextmanager
def _progress(title: str) -> Iterator[Callable[[Record], None]]:
    """Shows progress on stderr: a bar on a terminal, a line each elsewhere."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield _print_progress
        return
    with Bars(console=console, transient=True) as bars:
        task = bars.add_task(title, total=1.0)

        def show(record: Record) -> None:
            if isinstance(record, Progress):
                bars.update(task, completed=record.fraction, description=record.message or title)

        yield show


def _print_progress(record: Record) -> None:
    if isinstance(record, Progress):
        sys.stderr.write(f"{record.fraction:4.0%} {record.message}\n")
        sys.stderr.flush()


def _print_outcome(outcome: dict[str, Any]) -> None:
    from gpulab.cli.jobs.out_of_memory import print_failure
    from gpulab.cli.tables import print_facts, value_text
    from gpulab.schemas import OutOfMemoryRead

    print_facts(
        [
            ("state", outcome["state"]),
            ("message", ": ".join(part for part in (outcome["cause"], outcome["message"]) if part)),
            *((f"result.{field}", value_text(value)) for field, value in (outcome.get("result") or {}).items()),
            ("folder", outcome["out"]),
        ]
    )
    if outcome.get("failure"):
        print_failure(OutOfMemoryRead.model_validate(outcome["failure"]))
