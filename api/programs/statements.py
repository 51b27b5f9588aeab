"""Statements over programs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert

from api.sharing.statements import shared, visible_to
from gpulab.states import JobState
from models.composed import statement
from models.tables.assignment import Assignment
from models.tables.job import Job
from models.tables.program import Program, ProgramUpload
from models.tables.study import Study, StudyRun
from models.tables.user import User

SUMMARY = (
    ProgramUpload.id,
    ProgramUpload.sha256,
    Program.size_bytes,
    Program.file_count,
    ProgramUpload.name,
    ProgramUpload.git_commit,
    ProgramUpload.git_dirty,
    ProgramUpload.uploaded_at,
)


@statement(anew=True)
def save(program: dict[str, Any], upload: dict[str, Any]) -> Select[Any]:
    """Keep a program and that the user sent it. The id of what the user sent comes back.

    A row that is there already is locked all the same: a sweep that deletes it is waited for, and it is made anew.
    """
    new = insert(Program).values(**program)
    stored = (
        new.on_conflict_do_update(index_elements=[Program.sha256], set_={"file_count": new.excluded.file_count})
        .returning(Program.sha256)
        .cte("stored")
    )
    sent = insert(ProgramUpload).values(**upload)
    described = {name: sent.excluded[name] for name in ("name", "git_commit", "git_dirty")}
    uploaded = (
        sent.on_conflict_do_update(
            index_elements=[ProgramUpload.user_id, ProgramUpload.sha256],
            set_={**described, "id": func.uuidv7(), "uploaded_at": func.now()},
        )
        .returning(ProgramUpload.id)
        .cte("uploaded")
    )
    return select(uploaded.c.id).join_from(uploaded, stored, true())


@statement
def upload(user_id: UUID, sha256: str) -> Select[*tuple[Any, ...]]:
    """What the user sent; no row where it was never this program."""
    return _uploads().where(ProgramUpload.user_id == user_id, ProgramUpload.sha256 == sha256)


@statement
def page(user_id: UUID, *, limit: int, before: UUID | None = None) -> Select[*tuple[Any, ...]]:
    """What the user sent, newest first, at most `limit`."""
    sent = _uploads().where(ProgramUpload.user_id == user_id).order_by(ProgramUpload.id.desc()).limit(limit)
    return sent if before is None else sent.where(ProgramUpload.id < before)


@statement
def readable(
    sha256: str, user_id: UUID, *, courses: Sequence[UUID], taught: Sequence[UUID], team: str | None = None
) -> Select[*tuple[Any, ...]]:
    """The program, where the user may read it: they sent it, may see a run of it, or an assignment begins with it.

    `courses` are all of theirs.
    """
    may = or_(_is_sent_by(user_id), _is_starter(courses), _has_visible_run(user_id, team, courses, taught))
    return select(*Program.__table__.columns).where(Program.sha256 == sha256, may)


@statement
def by_id(sha256: str) -> Select[*tuple[Any, ...]]:
    return select(*Program.__table__.columns).where(Program.sha256 == sha256)


@statement
def succeeded_runs(experiment: str, program: str, *, limit: int) -> Select[*tuple[Any, ...]]:
    """Of a program, newest first: the runs that succeeded on one GPU."""
    return (
        select(Job.id, Job.spec)
        .where(
            Job.program_sha256 == program,
            Job.experiment == experiment,
            Job.state == JobState.SUCCEEDED,
            func.cardinality(Job.gpu_uuids) == 1,
        )
        .order_by(Job.finished_at.desc())
        .limit(limit)
    )


def _uploads() -> Select[*tuple[Any, ...]]:
    return select(*SUMMARY).join_from(ProgramUpload, Program)


def _is_sent_by(user_id: UUID) -> ColumnElement[bool]:
    sent = select(ProgramUpload.id).where(ProgramUpload.user_id == user_id, ProgramUpload.sha256 == Program.sha256)
    return sent.exists()


def _is_starter(courses: Sequence[UUID]) -> ColumnElement[bool]:
    named = Assignment.starter["spec"]["program"].astext
    return select(Assignment.id).where(named == Program.sha256, Assignment.course_id == func.any(courses)).exists()


def _has_visible_run(
    user_id: UUID, team: str | None, courses: Sequence[UUID], taught: Sequence[UUID]
) -> ColumnElement[bool]:
    runs = select(StudyRun.study_id).where(StudyRun.job_id == Job.id)
    in_shared_study = (
        select(Study.id)
        .where(Study.owner_id == Job.owner_id, Study.shared_with.is_not(None), shared(Study, team, courses))
        .where(Study.id.in_(runs))
        .exists()
    )
    may = or_(visible_to(Job, user_id, taught), shared(Job, team, courses), in_shared_study)
    return select(Job.id).join(User, User.id == Job.owner_id).where(Job.program_sha256 == Program.sha256, may).exists()
