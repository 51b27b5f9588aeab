"""What one person has of what is limited when they submit."""

from uuid import UUID

from sqlalchemy import BigInteger, Select, cast, func, select

from gpulab.states import JobState
from models.artifact import Artifact
from models.job import Job


def queued(user_id: UUID) -> Select[int]:
    """How many of their jobs wait."""
    return select(func.count()).where(Job.state == JobState.QUEUED, Job.owner_id == user_id)


def artifact_bytes(user_id: UUID) -> Select[int]:
    """What the files of their jobs take."""
    taken = cast(func.coalesce(func.sum(Artifact.size_bytes), 0), BigInteger)
    return select(taken).join(Job, Job.id == Artifact.job_id).where(Job.owner_id == user_id)
