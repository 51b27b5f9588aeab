"""The lab's timeline: who held which GPU, what is expected, and how busy the GPUs were."""

from typing import Any

from api.auth.principal import Principal
from api.context import App
from api.http.problems import NodeNotFound, shortened
from api.lab_hours import statements as lab_hours
from api.lab_hours.reading import on_timeline
from api.sql.database import Row
from api.timeline import statements
from api.timeline.readings import History, Window
from api.tokens import statements as tokens
from gpulab.schemas import (
    ExpectedRunRead,
    GpuHistoryRead,
    NodeHistoryRead,
    TimelineGpuRead,
    TimelineLabHoursRead,
    TimelineRead,
    TimelineRunRead,
)
from models.statements import nodes

MAX_RUNS = 1000
MAX_EXPECTED = 200


async def timeline(app: App, principal: Principal, hours: int) -> TimelineRead:
    """Students see only the names of their own runs."""
    history = await app.readings.of_lab(hours)
    window = history.window
    runs = await app.database.rows(statements.runs, since=window.start, limit=MAX_RUNS)
    expected = await app.database.rows(statements.expected, limit=MAX_EXPECTED)
    gpus = await app.database.rows(nodes.gpus)
    return TimelineRead(
        start=window.start,
        cell_seconds=window.cell_seconds,
        gpus=[_gpu(row, history) for row in gpus],
        runs=[_run(row, principal) for row in runs],
        runs_left_out=runs[0].of_all - len(runs) if runs else 0,
        expected=[_expected(row, principal) for row in expected],
        lab_hours=await _lab_hours(app, principal, window),
    )


async def _lab_hours(app: App, principal: Principal, window: Window) -> list[TimelineLabHoursRead]:
    rows = await app.database.rows(lab_hours.every)
    if not rows:
        return []
    now = await app.database.scalar(tokens.now)
    section = await app.database.scalar(lab_hours.section_of, user_id=principal.id)
    found = [one for row in rows for one in on_timeline(row, principal, section, window.start, now)]
    return sorted(found, key=lambda one: (one.start, one.id))


async def node_history(app: App, name: str, hours: int) -> NodeHistoryRead:
    """Raises `NodeNotFound`."""
    if not any(node.name == name for node in await app.database.rows(nodes.every)):
        raise NodeNotFound(f"no node is called {shortened(name)!r}; see /v1/nodes")
    history = await app.readings.read(hours, name)
    gpus = [row for row in await app.database.rows(nodes.gpus) if row.node == name]
    return NodeHistoryRead(
        start=history.window.start,
        cell_seconds=history.window.cell_seconds,
        gpus=[_gpu_history(row, history) for row in gpus],
    )


def _gpu(row: Row, history: History) -> TimelineGpuRead:
    used = history.series(row.uuid, "memory_used_bytes")
    total = row.memory_total_bytes
    return TimelineGpuRead(
        uuid=row.uuid,
        node=row.node,
        index=row.index,
        name=row.name,
        utilization_percent=history.series(row.uuid, "utilization_percent"),
        memory_percent=[None if of is None or not total else round(100 * of / total) for of in used],
    )


def _gpu_history(row: Row, history: History) -> GpuHistoryRead:
    return GpuHistoryRead(
        uuid=row.uuid,
        index=row.index,
        name=row.name,
        memory_total_bytes=row.memory_total_bytes,
        utilization_percent=history.series(row.uuid, "utilization_percent"),
        memory_used_bytes=history.series(row.uuid, "memory_used_bytes"),
        temperature_celsius=history.series(row.uuid, "temperature_celsius"),
        power_watts=history.series(row.uuid, "power_watts"),
    )


def _whose(row: Row, principal: Principal) -> dict[str, Any]:
    """What of a run may be said to the principal."""
    own = row.owner_id == principal.id
    if not (own or principal.teaches(row.course_id)):
        return {"own": False, "job_id": None, "name": None, "owner": None}
    return {"own": own, "job_id": row.id, "name": row.name or row.experiment, "owner": row.owner}


def _run(row: Row, principal: Principal) -> TimelineRunRead:
    whose = _whose(row, principal)
    return TimelineRunRead(
        **whose,
        node=row.node,
        gpu_uuids=row.gpu_uuids,
        attempt=row.attempt if whose["job_id"] else None,
        outcome=row.outcome if whose["job_id"] else None,
        start=row.granted_at,
        end=row.released_at,
    )


def _expected(row: Row, principal: Principal) -> ExpectedRunRead:
    return ExpectedRunRead(
        **_whose(row, principal),
        node=row.estimated_node,
        gpu_uuids=row.estimated_gpu_uuids or [],
        start=row.estimated_start_at,
        time_limit_seconds=row.time_limit_seconds,
    )
