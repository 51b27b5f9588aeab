"""Predictions of GPU memory: put as questions to the workers, held until they are answered, read."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import structlog
from psycopg.types.json import Jsonb

from api.auth.principal import Principal
from api.context import App
from api.experiments import service as experiments
from api.http.problems import EstimateNotFound, InvalidRequest, ProgramNotFound
from api.nodes.hardware import Hardware
from api.programs.access import check_runs, find
from api.sql.database import Row
from experiments.contract import Unpredicted
from experiments.memory.contract import ProgramRun, Workload, estimate_id, family_of
from experiments.memory.devices import GPUS, GpuAsked, models_called
from gpulab.schemas import EstimateCreate, EstimateRead, EstimateState, GpuModelRead, GpuModelsRead, InvalidField
from gpulab.schemas.memory import Prediction, Verdict
from models.statements.memory import estimates
from models.statements.memory.estimate_turns import take_over
from models.tables.estimate import PROGRAM

LOOK_SECONDS = 2.0
"""A held request looks at its row this often, should a notice be lost."""
SHOWN = Prediction.model_fields.keys() & EstimateRead.model_fields.keys()

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a worker, and which GPUs the one who asks wants to hear of."""

    workload: Workload | ProgramRun
    editable: tuple[str, ...]
    software: str
    lab: tuple[GpuAsked, ...]
    named: tuple[GpuAsked, ...] = ()

    @property
    def id(self) -> UUID:
        return estimate_id(self.workload, self.editable, self.software)

    @property
    def keys(self) -> set[str]:
        return {gpu.key for gpu in (*self.lab, *self.named)}

    def row(self, owner_id: UUID) -> dict[str, Any]:
        """As `models.statements.memory.estimates` takes it from the user who asks."""
        return {
            "id": self.id,
            "owner_id": owner_id,
            "family": PROGRAM if isinstance(self.workload, ProgramRun) else family_of(self.workload.model),
            "software": self.software,
            "workload": self.workload.model_dump(mode="json"),
            "editable": list(self.editable),
            "wanted": {gpu.key: gpu.model_dump() for gpu in (*self.lab, *self.named)},
        }


async def question(
    app: App, workload: Workload | ProgramRun | Unpredicted, fields: Sequence[str], gpus: Sequence[str] = ()
) -> Question | None:
    """The question about a workload, null where there is none; `fields` are those of the spec that it comes from.

    Raises `InvalidRequest` where `gpus` names an unknown model.
    """
    if isinstance(workload, Unpredicted) and not gpus:
        return None
    hardware = await app.hardware.now()
    named = _named(gpus, hardware)
    if isinstance(workload, Unpredicted):
        return None
    changeable = set() if isinstance(workload, ProgramRun) else set(fields) & Workload.model_fields.keys()
    return Question(workload, tuple(sorted(changeable)), hardware.software, hardware.gpus, tuple(named))


async def question_of_job(
    app: App, workload: Workload | ProgramRun | Unpredicted, fields: Sequence[str], *, on_gpu: bool
) -> Question | None:
    """The question that is put along with a job. A program is measured only where a GPU may run it."""
    if isinstance(workload, ProgramRun) and not (on_gpu and (await app.hardware.now()).gpus):
        return None
    return await question(app, workload, fields)


async def ask(app: App, principal: Principal, order: EstimateCreate, wait_seconds: float) -> EstimateRead:
    """The prediction, held for until it is there, or a verdict more than there was.

    Raises what `experiments.workload` and `check_runs` do, and `InvalidRequest`.
    """
    workload, fields = experiments.workload(order.experiment, order.spec)
    if isinstance(workload, ProgramRun):
        await check_runs(app, principal, [(workload.experiment, workload.spec)])
    found = await predicted(app, principal, workload, fields, order.gpus, wait_seconds=wait_seconds)
    return found.model_copy(update={"experiment": order.experiment})


async def predicted(
    app: App,
    principal: Principal,
    workload: Workload | ProgramRun | Unpredicted,
    fields: Sequence[str],
    gpus: Sequence[str] = (),
    *,
    wait_seconds: float,
) -> EstimateRead:
    """What is predicted of a workload, or why nothing is. Raises as `question`."""
    asked = await question(app, workload, fields, gpus)
    if asked is None:
        assert isinstance(workload, Unpredicted)  # noqa: S101 - of anything else there is a question
        return not_predicted(workload.reason)
    return await answered(app, principal, asked, wait_seconds)


async def answered(app: App, principal: Principal, asked: Question, wait_seconds: float) -> EstimateRead:
    """Put the question unless it was answered before, and wait for the answer. Raises `TooManyEstimates`."""
    row = await app.database.row(estimates.by_id, estimate_id=asked.id)
    if row is not None and row.state == EstimateState.PENDING:
        given = Jsonb([{"id": asked.id, "owner_id": principal.id}], dumps=orjson.dumps)
        await app.database.execute(take_over, questions=given)
    if row is None or row.state == EstimateState.FAILED or _is_open(row, asked):
        if not principal.is_admin:
            await app.pending_estimates.note(principal.id, asked.id)
        await app.database.row(estimates.ask, questions=Jsonb([asked.row(principal.id)], dumps=orjson.dumps))
        row = None
    return await _held(app, principal, asked.id, row, asked, wait_seconds)


def _is_open(row: Row, asked: Question) -> bool:
    """Whether a worker can add to the answer: GPUs that were not requested yet, or on which a program failed."""
    fits = [row.fits.get(key) for key in asked.keys & row.wanted.keys()]
    refused = any(fit is not None and fit["verdict"] == Verdict.NOT_PREDICTED for fit in fits)
    return not asked.keys <= row.wanted.keys() or (row.family == PROGRAM and refused)


async def get(app: App, principal: Principal, identifier: UUID, wait_seconds: float) -> EstimateRead:
    """Raises `EstimateNotFound`, also for one of a program that the user may not read."""
    row = await app.database.row(estimates.by_id, estimate_id=identifier)
    if row is None or not await _may_read(app, principal, row):
        raise EstimateNotFound(f"there is no estimate with the id {identifier}")
    return await _held(app, principal, identifier, row, None, wait_seconds)


async def _may_read(app: App, principal: Principal, row: Row) -> bool:
    if row.family != PROGRAM:
        return True
    try:
        await find(app, principal, row.workload["spec"]["program"])
    except ProgramNotFound:
        return False
    return True


async def _held(
    app: App, principal: Principal, identifier: UUID, row: Row | None, asked: Question | None, wait_seconds: float
) -> EstimateRead:
    deadline = time.monotonic() + min(wait_seconds, app.settings.max_wait_seconds)
    place = app.open_answers.taken(principal.id) if wait_seconds > 0 else contextlib.nullcontext()
    known: int | None = None
    with place, app.hub.estimate_heard_of(identifier) as heard:
        while True:
            row = row or await app.database.row(estimates.by_id, estimate_id=identifier)
            assert row is not None  # noqa: S101 - it was asked for, and estimates are not deleted
            found = _read(row, asked, await app.hardware.now())
            known = len(found.gpus) if known is None else known
            left = deadline - time.monotonic()
            if found.state is not EstimateState.PENDING or len(found.gpus) > known or left <= 0 or app.hub.closing:
                return found
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_SECONDS)):
                    await heard.wait()
            heard.clear()
            row = None


def not_predicted(reason: str) -> EstimateRead:
    nothing: dict[str, Any] = dict.fromkeys(EstimateRead.model_fields, None)
    return EstimateRead(
        **nothing | {"gpus": [], "gpus_pending": [], "state": EstimateState.NOT_PREDICTED, "reason": reason}
    )


def _read(row: Row, asked: Question | None, hardware: Hardware) -> EstimateRead:
    own = {gpu.key for gpu in hardware.gpus}
    everybodys = sorted((key, gpu["name"]) for key, gpu in row.wanted.items() if not gpu.get("outgrown"))
    keys = dict(everybodys if asked is None else [(gpu.key, gpu.name) for gpu in (*asked.lab, *asked.named)])
    missing = [name for key, name in keys.items() if key not in row.fits]
    state = EstimateState(row.state)
    found = row.prediction
    if found is not None and not missing:
        # Others may have asked for further GPUs, which are still open or failed.
        state = EstimateState.READY
    return EstimateRead(
        id=row.id,
        state=state,
        reason=None if state is EstimateState.READY else row.reason,
        experiment=None,
        workload=_workload(row, asked),
        software=row.software or None,
        asked_at=row.asked_at,
        gpus=[{**row.fits[key], "in_lab": key in own} for key in keys if key in row.fits],
        gpus_pending=[
            row.wanted[key]["name"] for key in keys if state is EstimateState.PENDING and key not in row.fits
        ],
        **{name: found and found.get(name) for name in SHOWN},
    )


def _workload(row: Row, asked: Question | None) -> dict[str, Any]:
    """What was asked about. Users with the same program share its row; what else the first one gave is theirs."""
    if row.family != PROGRAM:
        return dict(row.workload)
    if asked is not None:
        return asked.workload.model_dump(mode="json")
    return {"experiment": row.workload["experiment"], "spec": {"program": row.workload["spec"]["program"]}}


def gpu_models() -> GpuModelsRead:
    models = sorted(GPUS.values(), key=lambda gpu: (gpu.total_bytes, gpu.name))
    return GpuModelsRead(items=[GpuModelRead(name=gpu.name, total_bytes=gpu.total_bytes) for gpu in models])


def _named(names: Sequence[str], hardware: Hardware) -> list[GpuAsked]:
    """What is meant by each name: the lab's own GPUs, as measured, where it has such; else what is documented.

    Raises `InvalidRequest` for a name that is neither a known model nor a device of the lab.
    """
    meant = [_meant(name, hardware) for name in names]
    known = list(dict.fromkeys([*GPUS, *(gpu.name for gpu in hardware.gpus)]))
    wrong = [
        InvalidField(path=f"gpus.{place}", message="unknown GPU model", limit={"enum": known}, value=name)
        for place, name in enumerate(names)
        if not meant[place]
    ]
    if wrong:
        raise InvalidRequest(f"{wrong[0].path}: no GPU model is called {wrong[0].value!r}", errors=wrong)
    return [gpu for gpus in meant for gpu in gpus]


def _meant(name: str, hardware: Hardware) -> list[GpuAsked]:
    own = hardware.called(name)
    covered = {model for gpu in own for model in models_called(gpu.name)}
    rest = [GPUS[model] for model in models_called(name) if model not in covered]
    return own + [GpuAsked(name=gpu.name, total_bytes=gpu.usable_bytes) for gpu in rest]
