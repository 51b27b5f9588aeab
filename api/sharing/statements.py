"""Sharing: what users let their team or the class read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, Update, Uuid, cast, column, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import SQLCoreOperations

from gpulab.states import Audience, Role
from models.composed import statement
from models.tables.courses import CourseMember
from models.tables.job import Job
from models.tables.study import Study, StudyRun
from models.tables.user import User


def shared(thing: type[Job | Study], team: str | None, courses: Sequence[UUID] | None = None) -> ColumnElement[bool]:
    """Whether a thing of `User` is shared with the class, or with `team`; where `courses` are given, in one of them."""
    audience = thing.shared_with
    found = audience == Audience.CLASS.value
    if team is not None:
        found = or_(found, (audience == Audience.TEAM.value) & (User.team == team))
    return found if courses is None else found & (thing.course_id == func.any(courses))


def visible_to(thing: type[Job | Study], owner_id: UUID, taught: Sequence[UUID] | None) -> ColumnElement[bool]:
    """Whether it is the owner's, or of one of the courses they teach."""
    own = thing.owner_id == owner_id
    return own if taught is None else or_(own, thing.course_id == func.any(taught))


@statement
def study_shared(study_id: UUID, *, courses: Sequence[UUID], team: str | None = None) -> Select[Any]:
    """A row where the study is shared with the class or with `team`."""
    return (
        select(Study.id).join(User, User.id == Study.owner_id).where(Study.id == study_id, shared(Study, team, courses))
    )


@statement
def study_of_job_shared(job_id: UUID, *, courses: Sequence[UUID], team: str | None = None) -> Select[Any]:
    """A row where a study that is so shared has the job as a run, or as its report."""
    runs = select(StudyRun.study_id).where(StudyRun.job_id == job_id)
    return (
        select(Study.id)
        .join(User, User.id == Study.owner_id)
        .where(
            Study.shared_with.is_not(None),
            shared(Study, team, courses),
            or_(Study.id.in_(runs), Study.report_job_id == job_id),
        )
        .limit(1)
    )


@statement
def readable(job_ids: Sequence[UUID], user_ids: Sequence[UUID], teams: Sequence[str | None]) -> Select[Any]:
    """Of each triple of a job, a user and their team: job and user, where the user may read the job."""
    lists = (cast(job_ids, ARRAY(Uuid)), cast(user_ids, ARRAY(Uuid)), cast(teams, ARRAY(Text)))
    given = (
        func.unnest(*lists)
        .table_valued(column("job_id", Uuid), column("user_id", Uuid), column("team", Text), name="given")
        .render_derived()
    )
    runs = select(StudyRun.study_id).where(StudyRun.job_id == Job.id)
    in_shared_study = (
        select(Study.id)
        .where(Study.shared_with.is_not(None), _shared_now(Study.shared_with, given.c.team))
        # A study and its runs have one owner.
        .where(Study.owner_id == Job.owner_id, or_(Study.id.in_(runs), Study.report_job_id == Job.id))
        .exists()
    )
    member = select(CourseMember.role).where(
        CourseMember.user_id == given.c.user_id, CourseMember.course_id == Job.course_id
    )
    teaches = member.where(CourseMember.role == Role.INSTRUCTOR.value).exists()
    in_audience = or_(_shared_now(Job.shared_with, given.c.team), in_shared_study) & member.exists()
    may = or_(Job.owner_id == given.c.user_id, teaches, in_audience)
    return (
        select(given.c.job_id, given.c.user_id)
        .join_from(given, Job, Job.id == given.c.job_id)
        .join(User, User.id == Job.owner_id)
        .where(may)
    )


def _shared_now(audience: SQLCoreOperations[Any], team: ColumnElement[Any]) -> ColumnElement[bool]:
    """As `shared`, where the team is a column and may be null."""
    with_team = (audience == Audience.TEAM.value) & (User.team == team)
    return func.coalesce(or_(audience == Audience.CLASS.value, with_team), False)


@statement
def share_job(job_id: UUID, audience: Audience | None) -> Update:
    return (
        update(Job)
        .where(Job.id == job_id, Job.shared_with.is_distinct_from(audience))
        .values(shared_with=audience, version=Job.version + 1, changed_at=func.now())
    )


@statement
def share_study(study_id: UUID, audience: Audience | None) -> Update:
    """The study's revision stays: its report is the same one."""
    return update(Study).where(Study.id == study_id).values(shared_with=audience)
