"""Reading the history of the GPUs, and who held them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, Select, cast, func, or_, select, type_coerce

from gpulab.states import JobState
from models.composed import statement
from models.tables.job import Job
from models.tables.lease import Lease
from models.tables.node import GpuMinute
from models.tables.user import User


@statement
def readings(since: datetime, cell_seconds: float, node: str | None = None) -> Select[*tuple[Any, ...]]:
    """Of each GPU: the numbers of the cells in which it was read, and as many values of each kind."""
    seconds = func.extract("epoch", GpuMinute.minute) - func.extract("epoch", type_coerce(since, GpuMinute.minute.type))
    cell = cast(func.floor(seconds / cell_seconds), Integer)
    values = {
        "utilization_percent": func.avg(GpuMinute.utilization_percent),
        "power_watts": func.avg(GpuMinute.power_watts),
        "memory_used_bytes": func.max(GpuMinute.memory_used_bytes),
        "temperature_celsius": func.max(GpuMinute.temperature_celsius),
    }
    minutes = select(GpuMinute.gpu_uuid, cell.label("cell"), *(of.label(name) for name, of in values.items()))
    wanted = [GpuMinute.minute >= since, *([] if node is None else [GpuMinute.node == node])]
    cells = minutes.where(*wanted).group_by(GpuMinute.gpu_uuid, "cell").cte("cells")
    arrays = (func.array_agg(cells.c[name], type_=ARRAY(cells.c[name].type)).label(name) for name in values)
    return select(cells.c.gpu_uuid, func.array_agg(cells.c.cell).label("cells"), *arrays).group_by(cells.c.gpu_uuid)


@statement
def runs(since: datetime, *, limit: int) -> Select[*tuple[Any, ...]]:
    """Attempts that held a part of the lab since then, the longest first, and `of_all`, how many there are."""
    held: ColumnElement[Any] = func.coalesce(Lease.released_at, func.now()) - Lease.granted_at
    return (
        select(
            *_JOB,
            Lease.node,
            Lease.gpu_uuids,
            Lease.attempt,
            Lease.outcome,
            Lease.granted_at,
            Lease.released_at,
            func.count().over().label("of_all"),
        )
        .join(Job, Job.id == Lease.job_id)
        .join(User, User.id == Job.owner_id)
        .where(or_(Lease.released_at.is_(None), Lease.released_at > since))
        .order_by(held.desc(), Lease.token)
        .limit(limit)
    )


@statement
def expected(*, limit: int) -> Select[*tuple[Any, ...]]:
    """Waiting jobs whose start the scheduler expects, the first one first."""
    return (
        select(*_JOB, Job.estimated_node, Job.estimated_gpu_uuids, Job.estimated_start_at, Job.time_limit_seconds)
        .join(User, User.id == Job.owner_id)
        .where(Job.state == JobState.QUEUED.value, Job.estimated_start_at.is_not(None), Job.estimated_node.is_not(None))
        .order_by(Job.estimated_start_at, Job.id)
        .limit(limit)
    )


_JOB = (Job.id, Job.name, Job.experiment, Job.owner_id, Job.course_id, User.name.label("owner"))
