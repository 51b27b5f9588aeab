"""What users used of the lab: from the leases, past and live. Nothing is counted anywhere else."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Subquery,
    Text,
    Update,
    Uuid,
    cast,
    column,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.sql.dml import Insert

from gpulab.states import JobState
from models.composed import statement
from models.deadlines import DUE_AT, IN_OPEN_COURSE, IS_STUDENT
from models.tables.artifact import Checkpoint
from models.tables.assignment import Assignment
from models.tables.courses import CourseMember
from models.tables.job import Job
from models.tables.lease import Lease, PastUse
from models.tables.study import Study, StudyRun
from models.tables.user import Usage, User
from models.times import from_now

MOVED_SECONDS = 10.0
HORIZON_HALF_LIVES = 8
"""Usage older than this number of half-lives is left out: less than half a percent of it would count."""


@statement(
    shape=(
        "half_life_seconds",
        "window_seconds",
    )
)
def finished(since: datetime, *, half_life_seconds: float, window_seconds: float) -> Select[*tuple[Any, ...]]:
    """For each owner of leases that ended after `since`, as of now: decayed `used_seconds`, `gpu_hours`, `gib_hours`.

    A lease's use is its share of the lab times the time it was held, halved every half-life; the hours are those
    within the window.
    """
    now = func.now()
    lease = _ended()
    ago = [_seconds(now - moment) for moment in (lease.c.released_at, lease.c.granted_at)]
    rate = math.log(2) / half_life_seconds
    used = lease.c.share / rate * (func.exp(-rate * ago[0]) - func.exp(-rate * ago[1]))
    within = func.greatest(0.0, func.least(ago[1], window_seconds) - ago[0]) / 3600
    return (
        select(
            lease.c.owner_id,
            func.sum(used).label("used_seconds"),
            func.sum(lease.c.gpus * within).label("gpu_hours"),
            func.sum(func.coalesce(lease.c.held_bytes, 0) / float(2**30) * within).label("gib_hours"),
        )
        .where(lease.c.released_at > since)
        .group_by(lease.c.owner_id)
    )


def _ended() -> Subquery:
    """Leases that ended, and those of deleted runs."""
    times = (Lease.held_bytes, Lease.share, Lease.granted_at, Lease.released_at)
    kept = (
        select(Job.owner_id, func.cardinality(Lease.gpu_uuids).label("gpus"), *times)
        .join(Job, Job.id == Lease.job_id)
        .where(Lease.released_at.is_not(None))
    )
    past = (PastUse.owner_id, PastUse.gpus, PastUse.held_bytes, PastUse.share, PastUse.granted_at, PastUse.released_at)
    return union_all(kept, select(*past)).subquery("ended")


def horizon_seconds(half_life_seconds: float, window_seconds: float) -> float:
    """How far back a lease may have ended and still count."""
    return max(HORIZON_HALF_LIVES * half_life_seconds, window_seconds)


@statement
def live() -> Select[*tuple[Any, ...]]:
    """Every live lease with what is known of its job: whose it is, how long it may hold, whether it can give way.

    `held_seconds` is by the clock of the database.
    """
    resumable = exists().where(Checkpoint.job_id == Lease.job_id)
    return (
        select(
            Lease.job_id,
            Lease.token,
            Lease.node,
            Lease.gpu_uuids,
            Lease.reserved_bytes,
            Lease.held_bytes,
            Lease.share,
            Lease.yield_requested_at,
            Lease.claimed_at,
            _seconds(func.now() - Lease.granted_at).label("held_seconds"),
            Job.owner_id,
            Job.priority,
            Job.time_limit_seconds,
            resumable.label("resumable"),
        )
        .join(Job, Job.id == Lease.job_id)
        .where(Lease.released_at.is_(None))
    )


@statement
def weights(user_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """What each user's use is weighed by, and their own limits; null leaves the lab's."""
    return select(User.id, User.weight, User.max_running, User.max_gpu_hours, User.max_gib_hours).where(
        User.id == func.any(user_ids)
    )


@statement
def deadline_near(days: float) -> Select[UUID]:
    """Students with an assignment due within this number of days, for them, and no successful run for it."""
    done = (
        select(Job.id)
        .where(
            Job.owner_id == User.id,
            Job.course_id == Assignment.course_id,
            Job.state == JobState.SUCCEEDED,
            Job.experiment == func.any(Assignment.experiments),
        )
        .correlate(User, Assignment)
        .exists()
    )
    done_in_study = (
        select(Job.id)
        .join_from(Study, StudyRun, StudyRun.study_id == Study.id)
        .join(Job, Job.id == StudyRun.job_id)
        .where(
            Study.owner_id == User.id,
            Study.course_id == Assignment.course_id,
            StudyRun.questions.overlap(Assignment.questions),
            Job.state == JobState.SUCCEEDED,
        )
        .correlate(User, Assignment)
        .exists()
    )
    return (
        select(User.id)
        .join(Assignment, DUE_AT.between(func.now(), from_now(days * 86_400)))
        .join(CourseMember, IS_STUDENT)
        .where(IN_OPEN_COURSE, User.disabled_at.is_(None), ~done, ~done_in_study)
        .distinct()
    )


@statement
def clock() -> Select[*tuple[Any, ...]]:
    """Now, as the database has it: the moment, and Unix seconds."""
    return select(func.now().label("moment"), _epoch(func.now()).label("seconds"))


@statement(anew=True)
def keep_shares(shares: Mapping[UUID, tuple[float, float]]) -> Insert:
    """Store use and weight of each user, where they changed by more than a hundredth."""
    arrays: list[Any] = [
        literal(list(shares), ARRAY(Uuid)),
        literal([used for used, _ in shares.values()], ARRAY(Float(53))),
        literal([weight for _, weight in shares.values()], ARRAY(Float(53))),
    ]
    given = func.unnest(*arrays).table_valued("user_id", "used", "weight").render_derived("given")
    statement = insert(Usage).from_select(["user_id", "used_seconds", "weight"], _of_users(given))
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[Usage.user_id],
        set_={"used_seconds": new.used_seconds, "weight": new.weight, "weighed_at": func.now()},
        where=or_(
            func.abs(Usage.used_seconds - new.used_seconds) > 0.01 * (Usage.used_seconds + 1),
            Usage.weight != new.weight,
        ),
    )


def _of_users(given: Any) -> Select[*tuple[Any, ...]]:
    """Without users who are deleted meanwhile."""
    rows = select(given.c.user_id, given.c.used, given.c.weight).join(User, User.id == given.c.user_id)
    return rows.with_for_update(of=User, read=True, key_share=True)


@statement(anew=True)
def estimated_starts(starts: Mapping[UUID, float], sites: Mapping[UUID, tuple[str, Sequence[str]]]) -> Update:
    """Write down when the first in the queue would start (Unix seconds), and where: a node and GPUs of it.

    Only where the place changed, or the time by more than ten seconds.
    """
    rows = [{"id": str(of), "start": start, "node": sites[of][0], "gpus": sites[of][1]} for of, start in starts.items()]
    given = (
        func.jsonb_to_recordset(literal(rows, JSONB))
        .table_valued(column("id", Uuid), column("start", Float(53)), column("node", Text), column("gpus", ARRAY(Text)))
        .render_derived("given", with_types=True)
    )
    moment = func.to_timestamp(given.c.start)
    moved = (
        Job.estimated_start_at.is_(None),
        func.abs(_seconds(Job.estimated_start_at - moment)) > MOVED_SECONDS,
        Job.estimated_node.is_distinct_from(given.c.node),
        Job.estimated_gpu_uuids.is_distinct_from(given.c.gpus),
    )
    return (
        update(Job)
        .where(Job.id == given.c.id, Job.state == JobState.QUEUED, or_(*moved))
        .values(estimated_start_at=moment, estimated_node=given.c.node, estimated_gpu_uuids=given.c.gpus)
    )


def _seconds(interval: ColumnElement[Any]) -> ColumnElement[float]:
    return _epoch(interval)


def _epoch(moment_or_interval: Any) -> ColumnElement[float]:
    return cast(func.extract("epoch", moment_or_interval), Float(53))
