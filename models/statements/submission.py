"""The run that was handed in, as a hidden check may see it."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from models.composed import statement
from models.job import Job


@statement
def handed_in(job_id: UUID) -> Select[*tuple[Any, ...]]:
    """What the run was asked for and what it found. Nothing of its owner: a check judges work and no person."""
    return select(Job.id, Job.experiment, Job.spec, Job.seed, Job.program_sha256, Job.result).where(Job.id == job_id)
