"""Programs of an assignment: the starter that students begin with, and the hidden check that gives points."""

from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from api.assignments import statements
from api.auth.principal import Principal
from api.context import App
from api.experiments import service as experiments
from api.http.problems import InvalidRequest
from api.jobs import service as jobs
from api.programs.access import check_runs
from api.sql.database import Row
from experiments.internal.program_check.spec import SLUG as CHECK
from gpulab.schemas import JobCreate
from gpulab.schemas.assignments import CheckOrder, StarterOrder
from gpulab.states import Priority

NO_RUN = UUID(int=0)
"""Stands for what is handed in while a check's spec is checked."""


async def checked_values(
    app: App, principal: Principal, starter: StarterOrder | None, check: CheckOrder | None
) -> dict[str, Any]:
    """The columns of what was ordered, with every default filled in. Raises `InvalidRequest`."""
    values: dict[str, Any] = {}
    if starter is not None:
        spec = await _spec(app, principal, "starter", JobCreate(experiment=starter.experiment, spec=starter.spec))
        values["starter"] = _json({"experiment": starter.experiment, "spec": spec})
    if check is not None:
        order = JobCreate(experiment=CHECK, spec={**check.spec, "submission": str(NO_RUN)})
        spec = await _spec(app, principal, "hidden_check", order)
        del spec["submission"]
        # The check runs in the name of the instructor who set it: students see no job of others.
        values["hidden_check"] = _json({**check.model_dump(), "spec": spec, "owner_id": str(principal.id)})
    return values


async def check_hand_in(app: App, principal: Principal, assignment: Row, user_id: UUID, job_id: UUID) -> bool:
    """Queue the hidden check of a run that was handed in. False: the instructor's queue is full."""
    check = assignment.hidden_check
    order = JobCreate(experiment=CHECK, spec={**check["spec"], "submission": str(job_id)})
    plan = experiments.plan(order, by_lab=True)
    values = {
        "owner_id": UUID(check["owner_id"]),
        "course_id": assignment.course_id,
        "idempotency_key": None,
        "request_digest": None,
        "experiment": CHECK,
        "spec": plan.spec,
        "seed": 0,
        "name": f"Check of {assignment.name}"[:200],
        "tags": ["check"],
        "priority": Priority.NORMAL.value,
        "time_limit_seconds": check["time_limit_seconds"],
        "gpus": plan.gpus,
        "gpu_memory_bytes": None,
        "exclusive": plan.exclusive,
        "datasets": plan.datasets,
    }
    row = await jobs.insert(app, principal, values, f"check of {job_id}")
    if row is None:
        return False
    await app.database.execute(
        statements.checked, assignment_id=assignment.id, user_id=user_id, job_id=job_id, check_job_id=row.id
    )
    return True


async def _spec(app: App, principal: Principal, field: str, order: JobCreate) -> dict[str, Any]:
    try:
        plan = experiments.plan(order, by_lab=True)
        await check_runs(app, principal, [(order.experiment, plan.spec)])
    except InvalidRequest as error:
        named = [one.model_copy(update={"path": f"{field}.{one.path}"}) for one in error.errors]
        raise InvalidRequest.of_fields(named) from None
    return dict(plan.spec)


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=orjson.dumps)
