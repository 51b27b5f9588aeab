"""Naming and tagging jobs."""

from typing import Any
from uuid import UUID

from sqlalchemy import Update, func, update

from models.composed import statement
from models.tables.job import Job


@statement(anew=True)
def relabel(job_id: UUID, values: dict[str, Any]) -> Update:
    """Change a job's `name`, its `tags` or both."""
    return update(Job).where(Job.id == job_id).values(version=Job.version + 1, changed_at=func.now(), **values)
