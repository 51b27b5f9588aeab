"""Counts of what anonymising or deleting a user changes."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, cast, func, or_, select

from models.composed import statement
from models.statements.erasure.runs import for_others
from models.tables.artifact import Artifact
from models.tables.assignment import Grade, Submission
from models.tables.audit import AuditEvent
from models.tables.job import Job
from models.tables.program import ProgramUpload
from models.tables.study import Study
from models.tables.user import Token, User


@statement
def counts(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """Numbers of everything that is theirs, without runs that check or repeat what others handed in: those stay."""
    own_runs = (Job.owner_id == user_id) & ~for_others(user_id)
    of_user = {
        "studies": Study.owner_id,
        "submissions": Submission.user_id,
        "grades": Grade.user_id,
        "programs": ProgramUpload.user_id,
        "tokens": Token.user_id,
    }
    files = select(func.count(), func.coalesce(func.sum(Artifact.size_bytes), 0).label("bytes"))
    stored = files.join_from(Artifact, Job, Job.id == Artifact.job_id).where(own_runs).subquery()
    live = select(func.count()).where(own_runs, Job.finished_at.is_(None))
    about = or_(AuditEvent.actor_id == user_id, AuditEvent.target == func.concat("user:", User.id))
    events = select(func.count()).select_from(AuditEvent).join(User, User.id == user_id).where(about)
    columns = [
        select(func.count()).where(owner == user_id).scalar_subquery().label(name) for name, owner in of_user.items()
    ]
    return select(
        select(func.count()).where(own_runs).scalar_subquery().label("runs"),
        *columns,
        live.scalar_subquery().label("live_runs"),
        stored.c.count.label("files"),
        cast(stored.c.bytes, BigInteger).label("file_bytes"),
        events.scalar_subquery().label("audit_events"),
    ).select_from(stored)
