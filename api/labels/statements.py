"""Naming, tagging and noting jobs."""

from typing import Any
from uuid import UUID

from sqlalchemy import Text, func, literal_column, update
from sqlalchemy.sql.dml import ReturningUpdate

from models.composed import statement
from models.tables.job import Job

NOTE_BEFORE = literal_column("old.note", Text).label("before")


@statement(anew=True)
def relabel(job_id: UUID, values: dict[str, Any]) -> ReturningUpdate[*tuple[Any, ...]]:
    """Change a job's `name`, `tags` and `note`. The row has the `note` and what it was `before`."""
    changed = update(Job).where(Job.id == job_id).values(version=Job.version + 1, changed_at=func.now(), **values)
    return changed.returning(Job.note, NOTE_BEFORE)
