"""Programs of an assignment: the starter that students begin with, and the hidden check that gives points."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from api.assignments import statements
from api.assignments.late import Lateness, lateness
from api.auth.principal import Principal
from api.context import App
from api.experiments import service as experiments
from api.http.problems import InvalidRequest
from api.jobs import service as jobs
from api.programs.access import check_runs
from api.sql.database import Row
from experiments.internal.program_check.spec import SLUG as CHECK
from gpulab.csv_text import csv_text
from gpulab.schemas import JobCreate
from gpulab.schemas.assignments import CheckOrder, CheckRead, StarterOrder
from gpulab.states import FINAL_STATES, JobState, Priority

NO_RUN = UUID(int=0)
"""Stands for what is handed in while a check's spec is checked."""
MAX_WORDS = 5000
COLUMNS = (
    *("name", "email", "section", "team", "handed_in_at_utc", "late"),
    *("days_late", "deduction", "points", "final_points", "max_points", "check", "words", "job_id"),
)


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


async def check_hand_in(app: App, principal: Principal, assignment: Row, user_id: UUID, job_id: UUID) -> None:
    """Queue the hidden check of a run that was handed in. The instructor's queue may be full: staff can ask again."""
    check = assignment.hidden_check
    order = JobCreate(experiment=CHECK, spec={**check["spec"], "submission": str(job_id)})
    plan = experiments.plan(order, by_lab=True)
    values = {
        "owner_id": UUID(check["owner_id"]),
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
    if row is not None:
        await app.database.execute(
            statements.checked, assignment_id=assignment.id, user_id=user_id, job_id=job_id, check_job_id=row.id
        )


def check_read(row: Row, assignment: Row, *, for_staff: bool) -> CheckRead | None:
    """How the check stands, for those who may see it."""
    if row.check_job_id is None or not (for_staff or assignment.points_released_at is not None):
        return None
    max_points = _max_points(assignment)
    state, points, words = _verdict(row, max_points)
    job_id = row.check_job_id if for_staff else None
    return CheckRead(state=state, points=points, max_points=max_points, words=words, job_id=job_id)


async def grades(app: App, assignment: Row) -> bytes:
    """The class as a table: who handed what in, and the points that the check gave."""
    rows = await app.database.rows(statements.grades, assignment_id=assignment.id)
    return csv_text([COLUMNS, *_grades(rows, assignment)]).encode()


def _grades(rows: Sequence[Row], assignment: Row) -> Iterator[list[object]]:
    for row in rows:
        check = None if row.job_id is None else check_read(row, assignment, for_staff=True)
        handed_in = "" if row.pinned_at is None else f"{row.pinned_at:%Y-%m-%d %H:%M:%S}"
        late = None if row.pinned_at is None else lateness(row.pinned_at, row.due_at, assignment)
        cells = [
            *(row.name, row.email, row.section, row.team, handed_in),
            *(_late_cells(late) if late else [""] * 3),
            *(_check_cells(check, late) if check and late else [""] * 5),
            row.job_id,
        ]
        yield ["" if cell is None else cell for cell in cells]


def _late_cells(late: Lateness) -> list[object]:
    return ["yes" if late.days else "no", late.days, f"{late.deduction:g} {late.unit}" if late.deduction else ""]


def _check_cells(check: CheckRead, late: Lateness) -> list[object]:
    final = None if check.points is None else late.off(check.points)
    return [check.points, final, check.max_points, check.state, check.words]


def _verdict(row: Row, max_points: float) -> tuple[str, float | None, str | None]:
    state = JobState(row.check_state)
    if state not in FINAL_STATES:
        return "waiting", None, None
    if state is not JobState.SUCCEEDED:
        return "failed", None, row.check_message or state.value
    result: Mapping[str, Any] = row.check_result or {}
    points, words = result.get("points"), result.get("words")
    said = None if words is None else str(words)[:MAX_WORDS]
    if isinstance(points, int | float) and not isinstance(points, bool) and 0 <= points <= max_points:
        return "done", float(points), said
    return "failed", None, f"the check did not return points between 0 and {max_points:g}: {str(points)[:100]}"


def _max_points(assignment: Row) -> float:
    check = assignment.hidden_check
    return 0.0 if check is None else float(check["max_points"])


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
