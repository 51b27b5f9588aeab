"""Writing notifications, in the statement of the change: what is committed is delivered, what is not never was."""

from typing import Any

from sqlalchemy import CTE, ColumnElement, Text, and_, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Insert

from gpulab.states import FINAL_STATES, JobState, NotificationKind, Role, WaitReason
from models.composed import statement
from models.deadlines import DUE_AT, IN_OPEN_COURSE, IS_STUDENT
from models.tables.assignment import Assignment, Submission
from models.tables.courses import CourseMember
from models.tables.job import Job
from models.tables.notifications.outbox import Notification, NotificationChannel
from models.tables.user import User
from models.times import from_now

IDLE = "job.idle"
"""The event of a run that does not use its GPU, and will be ended for it."""
UNHEARD_OF = ("study-report", "program-check", "program-memory", "memory-estimate", "gpu-constants")
"""Experiments that the lab itself runs: nobody waits for them."""
STUCK = (WaitReason.CANNOT_FIT, WaitReason.NO_GPU, WaitReason.NO_SANDBOX, WaitReason.DATASET_MISSING)
"""Reasons to wait that may never go away by themselves."""
REMIND_SECONDS = 24 * 3600.0
"""How long before a deadline its reminder comes."""


def of_event(changed: CTE, event: str) -> CTE:
    """For the owners of the jobs in `changed` (`id, attempt, state`), who want to hear that they ended or are idle."""
    if event == IDLE:
        attempt = cast(changed.c.attempt, Text)
        return _of_jobs(changed, literal(NotificationKind.WAITING.value, Text), func.concat_ws(":", "idle", attempt))
    kind = case(
        (changed.c.state == JobState.FAILED.value, NotificationKind.FAILED.value), else_=NotificationKind.ENDED.value
    )
    return _of_jobs(changed, kind, literal("end", Text), changed.c.state.in_(sorted(FINAL_STATES)))


def of_stuck(changed: CTE) -> CTE:
    """For the owners of the waiting jobs in `changed` (`id, wait_reason`) that they may have to do something about."""
    kind = literal(NotificationKind.WAITING.value, Text)
    reasons = [reason.value for reason in STUCK]
    return _of_jobs(changed, kind, literal("stuck", Text), changed.c.wait_reason.in_(reasons))


def of_node(changed: CTE, fault_until: ColumnElement[Any]) -> CTE:
    """For the admins, of each node in `changed` (`name`) that has been set aside until one of them undrains it."""
    kind = literal(NotificationKind.WAITING.value, Text)
    about = (
        select(User.id, NotificationChannel.channel, kind, changed.c.name)
        .select_from(changed)
        .join(User, and_(User.role == Role.ADMIN.value, fault_until.is_(None)))
        .join(NotificationChannel, NotificationChannel.user_id == User.id)
        .where(kind == func.any(NotificationChannel.kinds))
    )
    return insert(Notification).from_select(["user_id", "channel", "kind", "node"], about).cte("noted")


@statement
def remind() -> Insert:
    """Of deadlines within a day, each student who has handed nothing in; once for each deadline."""
    kind = literal(NotificationKind.DEADLINE.value, Text)
    handed_in = select(Submission.job_id).where(
        Submission.assignment_id == Assignment.id, Submission.user_id == User.id
    )
    once = func.concat_ws(":", "deadline", Assignment.id, DUE_AT)
    about = (
        select(User.id, NotificationChannel.channel, kind, Assignment.id, DUE_AT, once)
        .select_from(NotificationChannel)
        .join(User, User.id == NotificationChannel.user_id)
        .join(Assignment, literal(True))
        .join(CourseMember, IS_STUDENT)
        .where(
            kind == func.any(NotificationChannel.kinds),
            User.disabled_at.is_(None),
            func.now() < DUE_AT,
            from_now(REMIND_SECONDS) >= DUE_AT,
            IN_OPEN_COURSE,
            ~handed_in.exists(),
        )
    )
    columns = ["user_id", "channel", "kind", "assignment_id", "due_at", "once"]
    return insert(Notification).from_select(columns, about).on_conflict_do_nothing()


def _of_jobs(
    changed: CTE, kind: ColumnElement[str], once: ColumnElement[str], condition: ColumnElement[bool] | None = None
) -> CTE:
    about = (
        select(
            Job.owner_id,
            NotificationChannel.channel,
            kind,
            changed.c.id,
            func.concat_ws(":", "job", changed.c.id, once),
        )
        .select_from(changed)
        .join(Job, Job.id == changed.c.id)
        .join(NotificationChannel, NotificationChannel.user_id == Job.owner_id)
        .where(kind == func.any(NotificationChannel.kinds), Job.experiment.not_in(UNHEARD_OF))
    )
    if condition is not None:
        about = about.where(condition)
    columns = ["user_id", "channel", "kind", "job_id", "once"]
    return insert(Notification).from_select(columns, about).on_conflict_do_nothing().cte("noted")
