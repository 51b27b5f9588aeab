"""What earlier runs of the same program took of a GPU: the reservation of the next one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from api.context import App
from api.experiments.service import Plan
from api.programs import statements as program_statements
from experiments.memory.devices import CONTEXT
from experiments.program_host.shape import shape
from experiments.registry import experiments
from gpulab.schemas import JobCreate
from models.statements.memory import peaks

MARGIN = 0.15
"""Of the measured peak, for what differs between two runs."""
CANDIDATES = 50
MEASURED_RUNS = 3
"""The newest of the same shape; the greatest peak counts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The greatest peak of earlier runs."""

    peak_bytes: int

    @property
    def reserve_bytes(self) -> int:
        return ceil(self.peak_bytes * (1 + MARGIN))

    def __str__(self) -> str:
        peak, reserved = (f"{size / 2**30:.2f} GiB" for size in (self.peak_bytes, self.reserve_bytes))
        return f"an earlier run of this program used {peak} of GPU memory, so this run reserves {reserved}"


async def reservation(app: App, order: JobCreate, plan: Plan) -> Measured | None:
    """Null where the submission says itself what it takes, and where no run of that shape was measured."""
    is_said = order.gpu_memory_bytes is not None or plan.exclusive or plan.gpus == 0
    return None if is_said or not _is_program(order.experiment) else await _measured(app, order.experiment, plan.spec)


async def reserve(app: App, runs: Iterable[dict[str, Any]]) -> None:
    """Note on each run of a study, a row of its plan, what earlier runs of its program took."""
    known: dict[tuple[str, str], Measured | None] = {}
    for run in runs:
        if run["exclusive"] or run["gpus"] == 0 or not _is_program(run["experiment"]):
            continue
        alike = run["experiment"], shape(run["spec"])
        if alike not in known:
            known[alike] = await _measured(app, run["experiment"], run["spec"])
        if (measured := known[alike]) is not None:
            run["gpu_memory_bytes"] = measured.reserve_bytes


def _is_program(experiment: str) -> bool:
    return experiments()[experiment].sandboxed


async def _measured(app: App, experiment: str, spec: Mapping[str, Any]) -> Measured | None:
    wanted = shape(spec)
    rows = await app.database.rows(
        program_statements.succeeded_runs, experiment=experiment, program=spec["program"], limit=CANDIDATES
    )
    alike = [row.id for row in rows if shape(row.spec) == wanted][:MEASURED_RUNS]
    took = [_peak(row) for job_id in alike for row in await app.database.rows(peaks.took, job_id=job_id)]
    return max((Measured(peak) for peak in took if peak), key=lambda found: found.peak_bytes, default=None)


def _peak(row: Any) -> int | None:
    """Of the device; without a figure of the driver, the allocator's and the context's."""
    if row.device_bytes is not None:
        return int(row.device_bytes)
    return None if row.allocator_bytes is None else int(row.allocator_bytes) + CONTEXT.high_bytes
