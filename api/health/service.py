"""Whether the lab can do its work, and what Prometheus asks."""

import asyncio
from collections import Counter
from functools import cache
from importlib.resources import files

from psycopg import DatabaseError
from redis.exceptions import RedisError

from api.context import App
from api.disk import service as disk
from api.health import statements
from api.http.problems import NotReady
from api.jobs import statements as jobs
from api.nodes.service import gpu_page, state_of
from gpulab.schemas import InvalidField, ReadyRead
from gpulab.states import ACTIVE_STATES, JobState, NodeState, WaitReason
from models.database import first_line
from models.statements import job_events, leases, nodes, readiness

CHECK_SECONDS = 3.0
ALIVE = "heard of lately"


async def ready(app: App) -> ReadyRead:
    """Raises `NotReady`, which names every part that is missing."""
    checks: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, (good, found) in {**await _database(app), "redis": await _redis(app)}.items():
        (checks if good else missing)[name] = found
    if not app.hub.listening:
        missing["notices"] = "the connection that listens for changes is down; answers may be late"
    if missing:
        errors = [InvalidField(path=name, message=found) for name, found in missing.items()]
        raise NotReady("missing: " + "; ".join(f"{name}: {found}" for name, found in missing.items()), errors=errors)
    return ReadyRead(status="ready", checks=checks)


async def measure(app: App) -> bytes:
    """The metrics in Prometheus' text format. Without the database, those of the process alone."""
    telemetry = app.telemetry
    telemetry.streams.set(app.hub.streams)
    telemetry.held.set(app.hub.held)
    for gauge in telemetry.read_anew:
        gauge.clear()
    telemetry.leading.set(0)
    telemetry.database_up.set(0)
    try:
        counts = {row.state: row.jobs for row in await app.database.rows(jobs.unfinished)}
        rows = await app.database.rows(nodes.overview, silence_seconds=app.settings.lease_seconds)
        await _measure_queue(app)
        await _measure_gpus(app, {row.name for row in rows if not row.down})
        await _measure_disk(app)
    except DatabaseError:
        return telemetry.render()
    for state in (JobState.QUEUED, *sorted(ACTIVE_STATES)):
        telemetry.jobs.labels(state).set(counts.get(state, 0))
    states = Counter(state_of(row._asdict()) for row in rows)
    for node_state in NodeState:
        telemetry.nodes.labels(node_state).set(states[node_state])
    telemetry.database_up.set(1)
    return telemetry.render()


async def _measure_queue(app: App) -> None:
    telemetry = app.telemetry
    parts = await app.database.row(readiness.parts, silence_seconds=app.settings.lease_seconds)
    telemetry.leading.set(parts is not None and parts.leading)
    telemetry.files_wait.set(len(await app.database.rows(job_events.held_up)))
    for row in await app.database.rows(statements.waiting):
        telemetry.queued.labels(row.wait_reason or WaitReason.NEXT_IN_LINE).set(row.jobs)
    if telemetry.newest_event is None:
        telemetry.newest_event = await app.database.scalar(statements.newest_event)
    for row in await app.database.rows(statements.events_after, event_id=telemetry.newest_event):
        cause = (row.cause or "") if row.type == f"job.{JobState.FAILED}" else ""
        telemetry.events.labels(row.type, cause).inc(row.events)
        telemetry.newest_event = max(telemetry.newest_event or 0, row.newest)


async def _measure_gpus(app: App, alive: set[str]) -> None:
    found = [gpu for gpu in (await gpu_page(app)).items if gpu.node in alive]
    healthy = [gpu for gpu in found if gpu.healthy]
    leased = {uuid for lease in await app.database.rows(leases.live) for uuid in lease.gpu_uuids}
    busy = sum(gpu.uuid in leased for gpu in healthy)
    counts = {"busy": busy, "free": len(healthy) - busy, "unhealthy": len(found) - len(healthy)}
    for state, count in counts.items():
        app.telemetry.gpus.labels(state).set(count)
    app.telemetry.gpu_memory.labels("total").set(sum(gpu.memory_total_bytes or 0 for gpu in healthy))
    app.telemetry.gpu_memory.labels("reserved").set(sum(gpu.memory_reserved_bytes for gpu in healthy))


async def _measure_disk(app: App) -> None:
    """Without users' names: everybody may read the metrics."""
    telemetry, found = app.telemetry, await disk.of_lab(app)
    for use in found.uses:
        for age, size in use.by_age.items():
            telemetry.disk.labels(use.kind, age).inc(size)
    for place in found.places:
        labels = (place.place, place.node or "")
        if place.size_bytes is not None:
            telemetry.disk_places.labels(*labels).set(place.size_bytes)
        if place.free_bytes is not None:
            telemetry.disk_free.labels(*labels).set(place.free_bytes)


async def _database(app: App) -> dict[str, tuple[bool, str]]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            version = await app.database.scalar(readiness.schema_version)
            parts = await app.database.row(readiness.parts, silence_seconds=app.settings.lease_seconds)
    except TimeoutError:
        return {"database": (False, f"no answer within {CHECK_SECONDS:g} s")}
    except DatabaseError as error:
        return {"database": (False, first_line(error))}
    assert parts is not None  # noqa: S101 - a SELECT without FROM has one row
    return {
        "database": (not parts.read_only, "it is read-only now" if parts.read_only else "reachable"),
        "schema": (version == _head(), f"version {version}, this version needs {_head()}"),
        "scheduler": (parts.leading, "one leads" if parts.leading else "none is running"),
        "nodes": (parts.nodes > 0, f"{parts.nodes} {ALIVE}"),
    }


async def _redis(app: App) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await app.redis.ping()
    except (RedisError, OSError, TimeoutError) as error:
        return False, f"no answer ({type(error).__name__})"
    return True, "reachable"


@cache
def _head() -> str:
    """The newest migration, by the number of its file: Alembic would take 11 MB to say the same."""
    return max(path.name for path in files("migrations.versions").iterdir() if path.name[:4].isdecimal())[:4]
