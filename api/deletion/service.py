"""Deleting runs and studies of one's own: who may, what is needed elsewhere, and why it stays then."""

from collections.abc import Sequence
from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.courses.access import check_open
from api.deletion import statements
from api.http.problems import JobNotDeletable, StudyNotFinished
from api.jobs.service import visible as visible_job
from api.sharing.service import check_may_change
from api.sql.database import Row
from api.sql.deadlocks import despite_deadlocks
from api.studies.reading import visible as visible_study
from gpulab.schemas import JobsDeleted, KeptRun, StudyDeleted
from gpulab.states import KeptBecause
from models.statements.erasure import runs


async def delete_run(app: App, principal: Principal, job_id: UUID) -> None:
    """Raises `JobNotFound`, `Forbidden`, `JobNotDeletable`; also for one of an archived course, unless it is theirs."""
    check_may_change(principal, await visible_job(app, principal, job_id))
    done = await delete_runs(app, principal, [job_id])
    if done.kept:
        raise JobNotDeletable(done.kept[0].message)


async def delete_runs(app: App, principal: Principal, job_ids: Sequence[UUID]) -> JobsDeleted:
    """Delete those that can be; each of the others is named with the reason."""
    asked = list(dict.fromkeys(job_ids))
    rows = {row.id: row for row in await app.database.rows(runs.standing, job_ids=asked)}
    may = [one for one in asked if one in rows and _may_delete(principal, rows[one])]
    gone: set[UUID] = set()
    if may:
        found = await despite_deadlocks(
            lambda: app.database.rows(statements.delete_runs, job_ids=may, origin=principal.origin)
        )
        gone = {row.id for row in found}
    kept = [_kept(principal, one, rows.get(one)) for one in asked if one not in gone]
    return JobsDeleted(deleted=[one for one in asked if one in gone], kept=kept)


async def delete_study(app: App, principal: Principal, study_id: UUID) -> StudyDeleted:
    """Raises `StudyNotFound`, `Forbidden`, `StudyNotFinished`, `CourseArchived`."""
    study = await visible_study(app, principal, study_id)
    check_may_change(principal, study)
    if study.owner_id != principal.id:
        await check_open(app, study.course_id)
    row = await despite_deadlocks(
        lambda: app.database.row(statements.delete_study, study_id=study_id, origin=principal.origin)
    )
    if row is None:
        await visible_study(app, principal, study_id)
        raise StudyNotFinished("some of its runs, or a report of it, wait or run; cancel them first")
    return StudyDeleted(runs_deleted=row.deleted, runs_kept=row.planned - row.deleted)


def _may_delete(principal: Principal, row: Row) -> bool:
    return row.owner_id == principal.id or (row.archived_at is None and principal.teaches(row.course_id))


def _is_own(principal: Principal, row: Row) -> bool:
    return principal.teaches(row.course_id) or row.owner_id == principal.id


def _kept(principal: Principal, job_id: UUID, row: Row | None) -> KeptRun:
    if row is None or not _is_own(principal, row):
        return KeptRun(job_id=job_id, because=KeptBecause.NOT_FOUND, message=f"no job of yours has the id {job_id}")
    if not _may_delete(principal, row):
        message = "its course is archived; only its owner can delete it"
        return KeptRun(job_id=job_id, because=KeptBecause.COURSE_ARCHIVED, message=message)
    if row.hindrance is None:
        message = "another request deleted or used it at the same moment; look at it again"
        return KeptRun(job_id=job_id, because=KeptBecause.NOT_FOUND, message=message)
    because = KeptBecause(row.hindrance)
    return KeptRun(job_id=job_id, because=because, message=_message(because, row))


def _message(because: KeptBecause, row: Row) -> str:
    if because is KeptBecause.NOT_OVER:
        return f"the job is {row.state}; cancel it first"
    if because is KeptBecause.STUDY_RUNS:
        return f"its study {row.study!r} still runs"
    if row.assignment is None:
        return "it was handed in and graded; graded runs stay"
    return f"it was handed in for {row.assignment!r}, or checks what was handed in; hand in another run first"
