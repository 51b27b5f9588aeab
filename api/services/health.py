"""Whether the lab can do its work, and what Prometheus asks."""

import asyncio
from collections import Counter
from functools import cache

from alembic.script import ScriptDirectory
from psycopg import DatabaseError
from redis.exceptions import RedisError

from api.context import Lab
from api.problems import NotReady
from api.services.nodes import NODE_STATES, gpu_page, state_of
from gpulab.schemas import InvalidField, ReadyRead
from gpulab.states import ACTIVE_STATES, JobState
from models.database import first_line
from models.statements import jobs, leases, nodes, readiness, storing
from models.statements import telemetry as statements

CHECK_SECONDS = 3.0
ALIVE = "heard of lately"


async def ready(lab: Lab) -> ReadyRead:
    """Raises `NotReady`, which names every part that is missing."""
    checks: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, (good, found) in {**await _database(lab), "redis": await _redis(lab)}.items():
        (checks if good else missing)[name] = found
    if not lab.hub.listening:
        missing["notices"] = "the connection that listens for changes is down; answers may be late"
    if missing:
        errors = [InvalidField(path=name, message=found) for name, found in missing.items()]
        raise NotReady("missing: " + "; ".join(f"{name}: {found}" for name, found in missing.items()), errors=errors)
    return ReadyRead(status="ready", checks=checks)


async def measure(lab: Lab) -> bytes:
    """The metrics in Prometheus' text format. Without the database, those of the process alone."""
    telemetry = lab.telemetry
    telemetry.streams.set(lab.hub.streams)
    telemetry.held.set(lab.hub.held)
    for gauge in (telemetry.jobs, telemetry.nodes, telemetry.queued, telemetry.gpus, telemetry.gpu_memory):
        gauge.clear()
    telemetry.leading.set(0)
    telemetry.database_up.set(0)
    try:
        counts = {row.state: row.jobs for row in await lab.database.rows(jobs.unfinished)}
        rows = await lab.database.rows(nodes.overview(lab.settings.lease_seconds))
        await _measure_queue(lab)
        await _measure_gpus(lab, {row.name for row in rows if not row.down})
    except DatabaseError:
        return telemetry.render()
    for state in (JobState.QUEUED, *sorted(ACTIVE_STATES)):
        telemetry.jobs.labels(state).set(counts.get(state, 0))
    states = Counter(state_of(row._asdict()) for row in rows)
    for node_state in NODE_STATES:
        telemetry.nodes.labels(node_state).set(states[node_state])
    telemetry.database_up.set(1)
    return telemetry.render()


async def _measure_queue(lab: Lab) -> None:
    telemetry = lab.telemetry
    parts = await lab.database.row(readiness.parts(lab.settings.lease_seconds))
    telemetry.leading.set(parts is not None and parts.leading)
    telemetry.files_wait.set(len(await lab.database.rows(storing.held_up)))
    for row in await lab.database.rows(statements.waiting):
        telemetry.queued.labels(row.wait_reason or "not_looked_at").set(row.jobs)
    if telemetry.newest_event is None:
        telemetry.newest_event = await lab.database.scalar(statements.newest_event)
    for row in await lab.database.rows(statements.events_after, event_id=telemetry.newest_event):
        cause = (row.cause or "") if row.type == f"job.{JobState.FAILED}" else ""
        telemetry.events.labels(row.type, cause).inc(row.events)
        telemetry.newest_event = max(telemetry.newest_event or 0, row.newest)


async def _measure_gpus(lab: Lab, alive: set[str]) -> None:
    found = [gpu for gpu in (await gpu_page(lab)).items if gpu.node in alive]
    healthy = [gpu for gpu in found if gpu.healthy]
    leased = {uuid for lease in await lab.database.rows(leases.live) for uuid in lease.gpu_uuids}
    busy = sum(gpu.uuid in leased for gpu in healthy)
    counts = {"busy": busy, "free": len(healthy) - busy, "unhealthy": len(found) - len(healthy)}
    for state, count in counts.items():
        lab.telemetry.gpus.labels(state).set(count)
    lab.telemetry.gpu_memory.labels("total").set(sum(gpu.memory_total_bytes or 0 for gpu in healthy))
    lab.telemetry.gpu_memory.labels("reserved").set(sum(gpu.memory_reserved_bytes for gpu in healthy))


async def _database(lab: Lab) -> dict[str, tuple[bool, str]]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            version = await lab.database.scalar(readiness.schema_version)
            parts = await lab.database.row(readiness.parts(lab.settings.lease_seconds))
    except TimeoutError:
        return {"database": (False, f"no answer within {CHECK_SECONDS:g} s")}
    except DatabaseError as error:
        return {"database": (False, first_line(error))}
    assert parts is not None  # noqa: S101 - a SELECT without FROM has one row
    return {
        "database": (not parts.read_only, "it takes no changes now" if parts.read_only else "reachable"),
        "schema": (version == _head(), f"version {version}, this version needs {_head()}"),
        "scheduler": (parts.leading, "one leads" if parts.leading else "none is running"),
        "nodes": (parts.nodes > 0, f"{parts.nodes} {ALIVE}"),
    }


async def _redis(lab: Lab) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await lab.redis.ping()
    except (RedisError, OSError, TimeoutError) as error:
        return False, f"no answer ({type(error).__name__})"
    return True, "reachable"


@cache
def _head() -> str:
    import migrations

    head = ScriptDirectory(str(migrations.__path__[0])).get_current_head()
    assert head is not None  # noqa: S101 - there is a first migration
    return head
