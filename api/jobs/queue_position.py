"""Which place a waiting job has, in the order in which the scheduler goes through the queue; how busy the lab is."""

from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Float, Select, case, cast, func, literal, or_, select

from gpulab.states import FINAL_STATES, JobState, Priority
from models.composed import statement
from models.tables.courses import Course
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.node import Gpu, Node
from models.tables.user import Usage

QUEUED, RUNNING = JobState.QUEUED.value, JobState.RUNNING.value
UNFINISHED = [state.value for state in JobState if state not in FINAL_STATES]
MAX_PACE_EVENTS = 2000
"""The newest events, which are looked through for starts: it keeps the look short in a busy lab."""


@statement
def place(job_id: UUID, *, foresight_seconds: float, silence_seconds: float) -> Select[*tuple[Any, ...]]:
    """`place` of a queued job, 1 for the next, and how many of those ahead are its owner's `own`.

    The order is that of `scheduler.planning.order`: use and weight as the scheduler last weighed them, and for each job
    what the owner's earlier ones will take. No row where the job does not wait.
    """
    lab = _capacity(silence_seconds)
    mine = select(Job.priority, Job.owner_id).where(Job.id == job_id, Job.state == JobState.QUEUED).cte("mine")
    cost = _share(lab) * func.least(Job.time_limit_seconds, foresight_seconds)
    course_weight = func.coalesce(Course.weight, 1.0)
    line = (Job.owner_id, course_weight)
    before = func.coalesce(func.sum(cost).over(partition_by=line, order_by=Job.id, rows=(None, -1)), 0.0)
    tag = (func.coalesce(Usage.used_seconds, 0.0) + before) / (func.coalesce(Usage.weight, 1.0) * course_weight)
    tagged = (
        select(Job.id, Job.owner_id, tag.label("tag"))
        .select_from(Job)
        .join(mine, mine.c.priority == Job.priority)
        .join(lab, literal(True))
        .outerjoin(Usage, Usage.user_id == Job.owner_id)
        .outerjoin(Course, Course.id == Job.course_id)
        .where(Job.state == JobState.QUEUED)
        .cte("tagged")
    )
    own_tag = select(tagged.c.tag).where(tagged.c.id == job_id).scalar_subquery()
    earlier = or_(tagged.c.tag < own_tag, (tagged.c.tag == own_tag) & (tagged.c.id < job_id))
    of_its_owner = tagged.c.owner_id == mine.c.owner_id
    more_urgent = (
        select(func.count())
        .select_from(Job)
        .where(Job.state == JobState.QUEUED, rank(Job.priority) < rank(mine.c.priority))
        .scalar_subquery()
    )
    return (
        select(
            (more_urgent + func.count().filter(earlier) + literal(1)).label("place"),
            func.count().filter(earlier, of_its_owner).label("own"),
        )
        .select_from(mine)
        .join(tagged, literal(True))
        .group_by(mine.c.priority)
    )


def _capacity(silence_seconds: float) -> CTE:
    # Not a timedelta: the API compiles the statement once, with a parameter in its place.
    silence = func.make_interval(0, 0, 0, 0, 0, 0, silence_seconds)
    heard = (Node.stopped_at.is_(None), Node.heartbeat_at > func.now() - silence)
    here = select(Node.name, Node.slots).where(*heard).cte("here")
    gpus = select(Gpu.memory_total_bytes).join(here, here.c.name == Gpu.node).where(Gpu.healthy).cte("healthy")
    slots = select(func.sum(here.c.slots)).scalar_subquery()
    return (
        select(
            func.count().label("gpus"),
            func.avg(gpus.c.memory_total_bytes).label("typical_bytes"),
            slots.label("slots"),
        )
        .select_from(gpus)
        .cte("lab")
    )


def _share(lab: CTE) -> ColumnElement[float]:
    """What part of the lab a job takes while it runs, of the bytes that the scheduler wrote down for it."""
    of_slots = 1.0 / func.nullif(lab.c.slots, 0)
    part = func.least(
        1.0, cast(func.coalesce(Job.counted_bytes, Job.gpu_memory_bytes), Float) / func.nullif(lab.c.typical_bytes, 0)
    )
    of_gpus = func.coalesce(Job.gpus, 1) * case((Job.exclusive, 1.0), else_=func.coalesce(part, 1.0))
    on_cpu = or_(Job.gpus == 0, Job.gpus.is_(None) & (lab.c.gpus == 0))
    share = case((on_cpu, of_slots), else_=of_gpus / func.nullif(lab.c.gpus, 0))
    return cast(func.coalesce(share, 0.0), Float(53))


def rank(priority: Any) -> ColumnElement[int]:
    return case({each.value: rank for rank, each in enumerate(Priority)}, value=priority)


@statement
def counts(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """How many runs run and wait, of all and of the user."""
    waits, own = Job.state == QUEUED, Job.owner_id == user_id
    return select(
        func.count().filter(~waits).label("running"),
        func.count().filter(waits).label("waiting"),
        func.count(Job.owner_id.distinct()).filter(waits).label("users_waiting"),
        func.count().filter(~waits, own).label("your_running"),
        func.count().filter(waits, own).label("your_waiting"),
    ).where(Job.state.in_(UNFINISHED))


@statement
def next_run(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """The user's run that the scheduler looks at first."""
    return (
        select(Job.id, Job.experiment, Job.name, Job.estimated_start_at)
        .where(Job.owner_id == user_id, Job.state == QUEUED)
        .order_by(rank(Job.priority), Job.id)
        .limit(1)
    )


@statement
def pace(window_seconds: float) -> Select[*tuple[Any, ...]]:
    """`starts` within the window, and how many `seconds` they took."""
    # Not a timedelta: the API compiles the statement once, with a parameter in its place.
    window = func.make_interval(0, 0, 0, 0, 0, 0, window_seconds)
    newest = select(JobEvent.at, JobEvent.to_state).order_by(JobEvent.id.desc()).limit(MAX_PACE_EVENTS).subquery()
    seconds: ColumnElement[Any] = func.extract("epoch", func.now() - func.min(newest.c.at))
    return select(
        func.count().filter(newest.c.to_state == RUNNING).label("starts"),
        seconds.label("seconds"),
        func.now().label("now"),
    ).where(newest.c.at > func.now() - window)
