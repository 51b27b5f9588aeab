"""What one person has of what is limited when they submit."""

from uuid import UUID

from sqlalchemy import BigInteger, Select, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from gpulab.states import JobState
from models.artifact import Artifact
from models.job import Job
from models.person import User


def queued(user_id: UUID) -> Select[int]:
    """How many of their jobs wait."""
    return select(func.count()).where(Job.state == JobState.QUEUED, Job.owner_id == user_id)


def artifact_bytes(user_id: UUID) -> Select[int]:
    """What the files of their jobs take."""
    taken = cast(func.coalesce(func.sum(Artifact.size_bytes), 0), BigInteger)
    return select(taken).join(Job, Job.id == Artifact.job_id).where(Job.owner_id == user_id)


def lock_owner(job_id: UUID) -> Select[UUID]:
    """Until the transaction ends, no other names files of the same owner. Jobs may be submitted meanwhile."""
    owner = select(Job.owner_id).where(Job.id == job_id).scalar_subquery()
    return select(User.id).where(User.id == owner).with_for_update(key_share=True)


def of_owner(job_id: UUID) -> Select[str, int, dict[str, int] | None]:
    """Of a job's owner: the role, `taken` bytes of all their files, and `sizes` of this job's by name."""
    job = aliased(Job)
    taken = cast(func.coalesce(func.sum(Artifact.size_bytes), 0), BigInteger)
    sizes = func.jsonb_object_agg(Artifact.name, Artifact.size_bytes, type_=JSONB).filter(Artifact.job_id == job_id)
    return (
        select(User.role, taken.label("taken"), sizes.label("sizes"))
        .join_from(job, User, User.id == job.owner_id)
        .outerjoin(Job, Job.owner_id == User.id)
        .outerjoin(Artifact, Artifact.job_id == Job.id)
        .where(job.id == job_id)
        .group_by(User.role)
    )
