"""Sharing: what people let their team or the class read."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Update, func, or_, select, update
from sqlalchemy.sql.elements import SQLCoreOperations

from gpulab.states import Audience
from models.job import Job
from models.person import User
from models.study import Study, StudyRun


def shared(audience: SQLCoreOperations[Any], team: str | None) -> ColumnElement[bool]:
    """Whether a thing of `User` is shared with the class, or with `team`."""
    with_class = audience == Audience.CLASS.value
    return with_class if team is None else or_(with_class, (audience == Audience.TEAM.value) & (User.team == team))


def study_shared(study_id: UUID, *, team: str | None = None) -> Select[Any]:
    """A row where the study is shared with the class or with `team`."""
    return (
        select(Study.id)
        .join(User, User.id == Study.owner_id)
        .where(Study.id == study_id, shared(Study.shared_with, team))
    )


def study_of_job_shared(job_id: UUID, *, team: str | None = None) -> Select[Any]:
    """A row where a study that is so shared has the job as a run, or as its report."""
    runs = select(StudyRun.study_id).where(StudyRun.job_id == job_id)
    return (
        select(Study.id)
        .join(User, User.id == Study.owner_id)
        .where(
            Study.shared_with.is_not(None),
            shared(Study.shared_with, team),
            or_(Study.id.in_(runs), Study.report_job_id == job_id),
        )
        .limit(1)
    )


def share_job(job_id: UUID, audience: Audience | None) -> Update:
    return (
        update(Job)
        .where(Job.id == job_id, Job.shared_with.is_distinct_from(audience and audience.value))
        .values(shared_with=audience and audience.value, version=Job.version + 1, changed_at=func.now())
    )


def share_study(study_id: UUID, audience: Audience | None) -> Update:
    """The study's revision stays: its report is the same one."""
    return update(Study).where(Study.id == study_id).values(shared_with=audience and audience.value)
