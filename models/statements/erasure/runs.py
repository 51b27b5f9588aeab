"""Deleting runs and studies: one statement takes a run with all that is its own, or leaves it whole.

The bytes of its files follow: their keys go into `deleted_files`, in the same statement.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Select,
    Text,
    Update,
    Uuid,
    case,
    cast,
    delete,
    false,
    func,
    literal,
    null,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import array, insert
from sqlalchemy.orm import aliased

from gpulab.states import JobState, KeptBecause, Role
from models.composed import statement
from models.statements.transitions import text_of
from models.tables.artifact import Artifact, Checkpoint, DeletedFile
from models.tables.assignment import Assignment, Grade, Submission
from models.tables.courses import Course, CourseMember
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.lease import Lease, PastUse
from models.tables.series import LogChunk, MetricChunk, Phase, SampleChunk
from models.tables.study import REPORT_KEY, Study, StudyRun
from models.tables.user import User

FINAL = Job.finished_at.is_not(None)
OWN = (MetricChunk, SampleChunk, Phase, LogChunk, JobEvent, Lease)
"""What has rows of a run and no file."""
RUNS_BATCH_SIZE = 100
CHECK = "program-check"
"""The experiment of checks: `submission` of their spec is the run that they look at."""


class Deletion(NamedTuple):
    gone: CTE
    """`id` and `owner_id` of each run that goes."""
    parts: list[CTE]
    """What goes or changes with them: to be added to the statement."""


def hindrance() -> ColumnElement[Any]:
    """Why a run cannot be deleted, a `KeptBecause`; null for one that can."""
    return case(
        (~FINAL, text_of(KeptBecause.NOT_OVER.value)),
        (_is_handed_in(), text_of(KeptBecause.HANDED_IN.value)),
        (_is_in(_running_studies()), text_of(KeptBecause.STUDY_RUNS.value)),
        else_=null(),
    )


@statement
def standing(job_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """The owner of each run, and why it cannot be deleted, with the assignment or study in question."""
    assignment = (
        select(Assignment.name)
        .join(Submission, Submission.assignment_id == Assignment.id)
        .where(_pinned(Job.id))
        .limit(1)
        .correlate(Job)
    )
    study = select(func.coalesce(Study.name, Study.title)).join(StudyRun, StudyRun.study_id == Study.id)
    busy = study.where(StudyRun.job_id == Job.id, Study.id.in_(_running_studies())).limit(1).correlate(Job)
    return (
        select(
            Job.id,
            Job.owner_id,
            Job.course_id,
            Course.archived_at,
            Job.state,
            hindrance().label("hindrance"),
            assignment.scalar_subquery().label("assignment"),
            busy.scalar_subquery().label("study"),
        )
        .select_from(Job)
        .outerjoin(Course, Course.id == Job.course_id)
        .where(Job.id == func.any(job_ids))
    )


def deletion(wanted: CTE, *, forced: bool = False, of_study: CTE | None = None) -> Deletion:
    """Delete the runs that `wanted` has locked: `id`, `owner_id`.

    `forced` takes what was handed in too, and keeps nothing of their use. `of_study` (`id`) is a study that goes with
    them: its other runs stay, as no study's.
    """
    ids = func.array(select(wanted.c.id).scalar_subquery())
    artifacts, checkpoints = (
        delete(table).where(table.job_id == func.any(ids)).returning(table.key).cte(f"gone_{table.__tablename__}")
        for table in (Artifact, Checkpoint)
    )
    keys = union(select(artifacts.c.key), select(checkpoints.c.key)).subquery()
    queued = insert(DeletedFile).from_select(["key"], select(keys.c.key)).on_conflict_do_nothing()
    parts: list[Any] = [
        queued.returning(DeletedFile.key).cte("queued"),
        *(_gone(delete(table).where(table.job_id == func.any(ids)), table) for table in OWN),
        *_references(ids, of_study),
        *(_unpinned(ids) if forced else [_past_use(wanted, ids)]),
    ]
    gone = delete(Job).where(Job.id == func.any(ids)).returning(Job.id, Job.owner_id).cte("gone")
    return Deletion(gone, parts)


def deletable(job_ids: Sequence[UUID]) -> CTE:
    """Those that can be deleted, locked."""
    found = select(Job.id, Job.owner_id).where(Job.id == func.any(job_ids), hindrance().is_(None))
    return found.order_by(Job.id).with_for_update(of=Job).cte("wanted")


def study_with_runs(study_id: UUID) -> tuple[CTE, CTE]:
    """A study and its deletable runs. The study is locked, and none of its runs and reports is under way. A run that
    another study has too is left out."""
    report = _is_report_of(study_id)
    study = (
        select(Study.id, Study.owner_id)
        .where(Study.id == study_id, Study.id.not_in(_running_studies()))
        .where(~select(Job.id).where(report, ~FINAL).exists())
        .with_for_update(of=Study)
        .cte("study")
    )
    elsewhere = select(StudyRun.study_id).where(StudyRun.job_id == Job.id, StudyRun.study_id != study_id).exists()
    wanted = (
        select(Job.id, Job.owner_id)
        .where(or_(Job.study_id == study_id, report), select(study.c.id).exists())
        .where(hindrance().is_(None), ~elsewhere)
        .order_by(Job.id)
        .with_for_update(of=Job)
        .cte("wanted")
    )
    return study, wanted


@statement(shape=("only_reports",))
def delete_of_user(user_id: UUID, *, limit: int, only_reports: bool) -> Select[UUID]:
    """Delete some of a user's runs that are over, or only reports of their studies. Returns the runs.

    Re-runs and checks of the user's work go too, whosever they are; those of what others handed in stay.
    """
    reports = (Job.owner_id == user_id) & Job.idempotency_key.startswith(REPORT_KEY)
    wanted = select(Job.id, Job.owner_id).where(reports if only_reports else is_theirs(user_id), FINAL)
    # Re-runs of staff first: with a submission goes what names them.
    locked = wanted.order_by(Job.owner_id == user_id, Job.id).limit(limit).with_for_update(of=Job).cte("wanted")
    made = deletion(locked, forced=True)
    return select(made.gone.c.id).add_cte(*made.parts)


def is_theirs(user_id: UUID) -> ColumnElement[bool]:
    """Whether a run goes with a user who is deleted."""
    run = aliased(Job)
    own = select(run.id).where(run.owner_id == user_id, ~for_others(user_id, run))
    handed_in = select(func.unnest(array([Submission.rerun_job_id, Submission.check_job_id])))
    return Job.id.in_(union(own, handed_in.where(Submission.user_id == user_id), *_of_student(user_id)))


def _of_student(user_id: UUID) -> tuple[Select[UUID], Select[UUID]]:
    """What staff repeated and checked of a student's runs, earlier hand-ins included: it has the student's code."""
    own, run = aliased(Job), aliased(Job)
    is_student = ~_is_staff(user_id, run)
    theirs = select(own.id).where(own.owner_id == user_id)
    names = select(cast(own.id, Text)).where(own.owner_id == user_id)
    repeated = select(run.id).where(is_student, run.retry_of.in_(theirs), _is_staff(run.owner_id, run))
    checked = select(run.id).where(is_student, run.experiment == CHECK, run.spec["submission"].astext.in_(names))
    return repeated, checked


def _is_staff(user_id: Any, run: Any) -> ColumnElement[bool]:
    """Whether the user teaches the run's course. The role in the lab counts where they are not in the course."""
    member = select(CourseMember.role).where(CourseMember.user_id == user_id, CourseMember.course_id == run.course_id)
    role = func.coalesce(member.scalar_subquery(), select(User.role).where(User.id == user_id).scalar_subquery())
    return role != Role.STUDENT.value


def for_others(user_id: UUID, run: Any = Job) -> ColumnElement[bool]:
    """Whether a run checks or repeats what somebody else handed in: without it, they lose points."""
    columns = (Submission.rerun_job_id, Submission.check_job_id)
    found = (select(column).where(column == run.id, Submission.user_id != user_id) for column in columns)
    return or_(*(one.correlate(run).exists() for one in found))


@statement
def files_to_delete(*, after: str, limit: int) -> Select[str]:
    """In the order of their keys, so that those which the store refuses hold up no others."""
    return select(DeletedFile.key).where(DeletedFile.key > after).order_by(DeletedFile.key).limit(limit)


@statement
def forget_file(key: str) -> Delete:
    return delete(DeletedFile).where(DeletedFile.key == key)


@statement
def any_file_to_delete() -> Select[bool]:
    return select(select(DeletedFile.key).exists())


def _running_studies() -> Select[UUID]:
    """Studies with a run that is not over: few, whatever the lab's past."""
    run = aliased(Job)
    unfinished = or_(run.state == JobState.QUEUED, run.state.in_([JobState.LEASED, JobState.RUNNING]))
    return select(StudyRun.study_id).join(run, run.id == StudyRun.job_id).where(unfinished)


def _is_report_of(study_id: UUID) -> ColumnElement[bool]:
    """Of any version of the study: it names only the newest."""
    key = literal(REPORT_KEY, Text).concat(cast(cast(study_id, Uuid), Text)).concat(literal(" ", Text))
    owner = select(Study.owner_id).where(Study.id == study_id).scalar_subquery()
    return (Job.owner_id == owner) & Job.idempotency_key.startswith(key)


def _is_in(studies: Select[UUID]) -> ColumnElement[bool]:
    return select(StudyRun.study_id).where(StudyRun.job_id == Job.id, StudyRun.study_id.in_(studies)).exists()


def _pinned(job_id: Any) -> ColumnElement[bool]:
    columns = (Submission.job_id, Submission.rerun_job_id, Submission.check_job_id)
    return or_(*(column == job_id for column in columns))


def _is_handed_in() -> ColumnElement[bool]:
    """One condition for each column, so that each uses its index."""
    columns = (Submission.job_id, Submission.rerun_job_id, Submission.check_job_id, Grade.job_id)
    return or_(*(select(column).where(column == Job.id).exists() for column in columns))


def _gone(statement: Delete | Update, table: Any) -> CTE:
    column = next(iter(table.__table__.primary_key))
    return statement.returning(column).cte(f"part_{table.__tablename__}")


def _references(ids: Any, of_study: CTE | None) -> list[CTE]:
    """Rows that stay and name a run that goes. One UPDATE for each table: a statement changes a row only once."""
    names_it = Job.retry_of == func.any(ids)
    study_id = select(of_study.c.id).scalar_subquery() if of_study is not None else None
    of_it = false() if study_id is None else Job.study_id == study_id
    jobs = (
        update(Job)
        .where(or_(names_it, of_it), ~(Job.id == func.any(ids)))
        .values(
            retry_of=case((names_it, null()), else_=Job.retry_of),
            study_id=case((of_it, null()), else_=Job.study_id),
            version=Job.version + 1,
        )
    )
    lost_a_run = Study.id.in_(select(StudyRun.study_id).where(StudyRun.job_id == func.any(ids)))
    reported = Study.report_job_id == func.any(ids)
    studies = (
        update(Study)
        .where(or_(lost_a_run, reported))
        .values(revision=Study.revision + 1, report_job_id=case((reported, null()), else_=Study.report_job_id))
    )
    runs = delete(StudyRun).where(StudyRun.job_id == func.any(ids))
    if study_id is None:
        return [_gone(jobs, Job), _gone(studies, Study), _gone(runs, StudyRun)]
    every = delete(StudyRun).where(or_(StudyRun.study_id == study_id, StudyRun.job_id == func.any(ids)))
    others = studies.where(Study.id != study_id)
    return [_gone(jobs, Job), _gone(others, Study), _gone(every, StudyRun)]


def _past_use(wanted: CTE, ids: Any) -> CTE:
    columns = ("owner_id", "gpus", "held_bytes", "share", "granted_at", "released_at")
    used = (
        select(
            wanted.c.owner_id,
            func.cardinality(Lease.gpu_uuids),
            Lease.held_bytes,
            Lease.share,
            Lease.granted_at,
            Lease.released_at,
        )
        .join_from(wanted, Lease, Lease.job_id == wanted.c.id)
        .where(Lease.released_at.is_not(None), Lease.job_id == func.any(ids))
    )
    return insert(PastUse).from_select(columns, used).returning(PastUse.id).cte("past_use_kept")


def _unpinned(ids: Any) -> list[CTE]:
    """Submissions of the runs go; a re-run or a check that goes leaves its submission, and a grade stays."""
    pinned = delete(Submission).where(Submission.job_id == func.any(ids))
    checked = (Submission.rerun_job_id, Submission.check_job_id)
    kept = (
        update(Submission)
        .where(or_(*(column == func.any(ids) for column in checked)), ~(Submission.job_id == func.any(ids)))
        .values({column: case((column == func.any(ids), null()), else_=column) for column in checked})
    )
    grades = update(Grade).where(Grade.job_id == func.any(ids)).values(job_id=None)
    return [
        pinned.returning(Submission.job_id).cte("unpinned"),
        kept.returning(Submission.job_id).cte("kept_submissions"),
        _gone(grades, Grade),
    ]
