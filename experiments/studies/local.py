"""A study without a server.

A run that finished before is not run again: the same experiment, spec and seed is the same run.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.hosting.emulated import emulated_name
from experiments.hosting.local import order_of, run_in
from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import Disturbed, Ending, Failed, RunOrder, Started, Stopped, Succeeded
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import RunPlan
from gpulab.run.files import RECORDS_FILE


@dataclass(frozen=True, slots=True)
class Machine:
    """Where runs go and what they may use."""

    folder: Path
    datasets_folder: Path
    slots: int = 1
    threads: int = 1
    device: str = "cpu"

    def place(self, run: RunPlan) -> Path:
        """The folder of a run, the same every time."""
        return self.folder / hashlib.sha256(run.key.encode()).hexdigest()[:16]


def carry_out(
    runs: Sequence[RunPlan], machine: Machine, tell: Callable[[RunOutcome], None] = lambda _: None
) -> list[RunOutcome]:
    """Run what has not run yet, `machine.slots` at once; `tell` hears of each run as it ends."""
    with ThreadPoolExecutor(machine.slots) as pool:
        waiting = [pool.submit(_carry_out, run, machine, tell) for run in runs]
        return [one.result() for one in waiting]


def _carry_out(run: RunPlan, machine: Machine, tell: Callable[[RunOutcome], None]) -> RunOutcome:
    folder = machine.place(run)
    if not (folder / RECORDS_FILE).exists() or _read(run, folder).state == "running":
        (folder / RECORDS_FILE).unlink(missing_ok=True)
        run_in(folder, _order(run, machine))
    outcome = _read(run, folder)
    tell(outcome)
    return outcome


def _order(run: RunPlan, machine: Machine) -> RunOrder:
    return order_of(
        {"experiment": run.experiment, "spec": run.spec, "seed": run.seed},
        datasets=machine.datasets_folder,
        cache=machine.folder / ".cache",
        device=machine.device,
        threads=machine.threads,
    )


def _read(run: RunPlan, folder: Path) -> RunOutcome:
    reader = RecordReader(folder)
    ending = reader.ending()
    started = next((record for record in reader.every(b"started") if isinstance(record, Started)), None)
    state, words = _state(ending)
    return RunOutcome(
        experiment=run.experiment,
        spec=run.spec,
        seed=run.seed,
        cell=dict(run.cell or {}),
        questions=run.questions,
        state=state,
        cause=ending.cause if isinstance(ending, Failed) else None,
        message=words,
        result=ending.value if isinstance(ending, Succeeded) else None,
        device=started.device if started else None,
        device_name=emulated_name(started.device) if started else None,
        versions=started.versions if started else None,
        duration_seconds=_seconds_between(started, ending),
    )


def _state(ending: Ending | None) -> tuple[str, str | None]:
    """Of a run by its last record, and its words."""
    match ending:
        case Succeeded():
            return "succeeded", None
        case Failed():
            return "failed", ending.message
        case Stopped():
            return "cancelled", ending.message
        case Disturbed() | None:
            # It says nothing of the run itself: it is run again.
            return "running", None


def _seconds_between(started: Started | None, ending: Ending | None) -> float | None:
    if started is None or started.time is None or ending is None or ending.time is None:
        return None
    return ending.time - started.time
