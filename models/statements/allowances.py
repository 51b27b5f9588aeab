"""What one person has of what is limited when they submit."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, cast, func, select

from gpulab.states import JobState
from models.artifact import Artifact
from models.job import Job
from models.person import User


def of_person(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """Their own limit of queued jobs; null leaves the lab's."""
    return select(User.max_queued).where(User.id == user_id)


def queued(user_id: UUID) -> Select[int]:
    """How many of their jobs wait."""
    return select(func.count()).where(Job.state == JobState.QUEUED, Job.owner_id == user_id)


def artifact_bytes(user_id: UUID) -> Select[int]:
    """What the files of their jobs take."""
    taken = cast(func.coalesce(func.sum(Artifact.size_bytes), 0), BigInteger)
    return select(taken).join(Job, Job.id == Artifact.job_id).where(Job.owner_id == user_id)
