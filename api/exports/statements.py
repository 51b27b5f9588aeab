"""All that a user has, page by page. Nothing here reads a secret: no token, no address of a webhook."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, tuple_

from models.composed import statement
from models.tables.artifact import Artifact
from models.tables.assignment import Assignment, Submission
from models.tables.courses import Course, CourseMember
from models.tables.job import Job
from models.tables.program import Program, ProgramUpload
from models.tables.series import LogChunk, MetricChunk
from models.tables.study import Study
from models.tables.user import User

PROFILE = ("id", "name", "email", "role", "section", "team", "time_zone", "created_at", "disabled_at")


@statement
def profile(user_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*(User.__table__.c[name] for name in PROFILE)).where(User.id == user_id)


@statement
def with_metrics(job_ids: Sequence[UUID]) -> Select[UUID, str]:
    """Those of the runs that recorded something."""
    return _with(MetricChunk, job_ids)


@statement
def metrics(job_id: UUID, *, after_name: str, after: int, limit: int) -> Select[*tuple[Any, ...]]:
    """Chunks of a run's metrics, series by series, in the order of their index: no page sorts what was recorded."""
    columns = (MetricChunk.id, MetricChunk.name, MetricChunk.steps, MetricChunk.times, MetricChunk.values)
    place = tuple_(MetricChunk.name, MetricChunk.id)
    found = select(*columns).where(MetricChunk.job_id == job_id, place > tuple_(after_name, after))
    return found.order_by(MetricChunk.name, MetricChunk.id).limit(limit)


@statement
def output(job_id: UUID, *, after: int, limit: int) -> Select[*tuple[Any, ...]]:
    """Pieces of a run's output, from the byte `after` on."""
    found = select(LogChunk.start, LogChunk.data).where(LogChunk.job_id == job_id, LogChunk.start >= after)
    return found.order_by(LogChunk.start).limit(limit)


@statement
def with_output(job_ids: Sequence[UUID]) -> Select[UUID, str]:
    """Those of the runs that printed something."""
    return _with(LogChunk, job_ids)


@statement
def files(job_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    columns = (Artifact.job_id, Job.experiment, Artifact.name, Artifact.key, Artifact.size_bytes, Artifact.media_type)
    found = select(*columns).join(Job, Job.id == Artifact.job_id).where(Artifact.job_id == func.any(job_ids))
    return found.order_by(Artifact.job_id, Artifact.name)


@statement
def programs(user_id: UUID) -> Select[*tuple[Any, ...]]:
    sent = (ProgramUpload.name, ProgramUpload.git_commit, ProgramUpload.uploaded_at)
    found = select(Program.sha256, Program.size_bytes, Program.file_count, *sent)
    return (
        found.join(ProgramUpload, ProgramUpload.sha256 == Program.sha256)
        .where(ProgramUpload.user_id == user_id)
        .order_by(ProgramUpload.id)
    )


@statement
def studies(user_id: UUID) -> Select[*tuple[Any, ...]]:
    what = (Study.id, Study.course_id, Study.template, Study.scale, Study.title, Study.name)
    columns = (*what, Study.created_at, Study.cancelled_at)
    return select(*columns).where(Study.owner_id == user_id).order_by(Study.id)


@statement
def submissions(user_id: UUID) -> Select[*tuple[Any, ...]]:
    assignment = (Submission.assignment_id, Assignment.name.label("assignment"), Assignment.course_id)
    columns = (*assignment, Submission.job_id, Submission.pinned_at)
    found = select(*columns).join(Assignment, Assignment.id == Submission.assignment_id)
    return found.where(Submission.user_id == user_id).order_by(Submission.pinned_at)


@statement
def courses(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """Of the user, and those that their runs were for."""
    role = select(CourseMember.role).where(CourseMember.course_id == Course.id, CourseMember.user_id == user_id)
    joined = role.with_only_columns(CourseMember.joined_at)
    ran = select(Job.id).where(Job.course_id == Course.id, Job.owner_id == user_id).exists()
    columns = (Course.id, Course.name, Course.term, Course.archived_at)
    found = select(*columns, role.scalar_subquery().label("role"), joined.scalar_subquery().label("joined_at"))
    return found.where(or_(role.exists(), ran)).order_by(Course.id)


@statement
def released_assignments() -> Select[*tuple[Any, ...]]:
    """Those whose grades are released."""
    return select(*Assignment.__table__.columns).where(Assignment.points_released_at.is_not(None))


def _with(table: type[LogChunk] | type[MetricChunk], job_ids: Sequence[UUID]) -> Select[UUID, str]:
    has_rows = select(table.job_id).where(table.job_id == Job.id).exists()
    return select(Job.id, Job.experiment).where(Job.id == func.any(job_ids), has_rows)
