"""Assignments: what they are, how the class stands, what was handed in."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from api import deadlines
from api.assignments import checking, programs, statements
from api.assignments.late import lateness
from api.auth.principal import Principal
from api.context import App
from api.courses.access import check_open, course_of_staff
from api.experiments import service as catalogue
from api.extensions import statements as extensions
from api.grades import rules
from api.grades.released import own_grades
from api.http.cursors import decode_id_and_name, decode_place, paged
from api.http.problems import (
    AlreadyTaken,
    AssignmentNotFound,
    AssignmentOver,
    Forbidden,
    InvalidRequest,
    NoHiddenCheck,
    SubmissionNotFound,
)
from api.jobs import service as jobs
from api.sql.database import Row
from api.tokens import statements as tokens
from experiments.studies.templates import templates
from gpulab.schemas.assignments import (
    AssignmentCreate,
    AssignmentPage,
    AssignmentRead,
    AssignmentUpdate,
    FailureRead,
    OverviewRead,
    PartRead,
    PinOrder,
    StandingRead,
    SubmissionPage,
    SubmissionRead,
    WorkRead,
)
from gpulab.states import JobState
from gpulab.words import counted
from models.tables.assignment import Assignment

NAMES = tuple(column.name for column in Assignment.__table__.columns)
MAX_OWN_RUNS = 100
CAN_BE_NULL = frozenset({"description", "starter", "hidden_check", "late_days", "max_points", "rerun_points"})
MAX_DEADLINE_CHANGES = 50


async def create(app: App, principal: Principal, order: AssignmentCreate) -> AssignmentRead:
    """Raises `InvalidRequest`, `AlreadyTaken`, `CourseArchived`."""
    values = order.model_dump() | {"course_id": await course_of_staff(app, principal, order.course_id)}
    values["deadline"] = await deadlines.deadline(app, "deadline", order.deadline)
    values |= await programs.checked_values(app, principal, order.starter, order.hidden_check)
    values["questions"] = checking.questions_of(values["templates"])
    checking.check(values)
    row = await app.database.row(statements.create, values=values)
    if row is None:
        raise _taken(order.name)
    return (await _all_read(app, principal, [row]))[0]


def _taken(name: str) -> AlreadyTaken:
    return AlreadyTaken.of("name", "another assignment of the course has this name", value=name)


async def change(app: App, principal: Principal, assignment_id: UUID, order: AssignmentUpdate) -> AssignmentRead:
    """Raises `AssignmentNotFound`, `InvalidRequest`, `AlreadyTaken`, `CourseArchived`."""
    row = await taught(app, principal, assignment_id, changing=True)
    given = order.model_dump(exclude_unset=True)
    values = {name: value for name, value in given.items() if value is not None or name in CAN_BE_NULL}
    values |= await programs.checked_values(app, principal, order.starter, order.hidden_check)
    if (released := values.pop("points_released", None)) is not None:
        values["points_released_at"] = statements.RELEASED_FIRST if released else None
    if not values:
        return await get(app, principal, assignment_id)
    if "deadline" in values:
        # One may end it early, but not before it began.
        values["deadline"] = await deadlines.deadline(app, "deadline", values["deadline"], after=row.created_at)
        values |= await _deadline_changes(app, row, values["deadline"])
    if "templates" in values:
        values["questions"] = checking.questions_of(values["templates"])
    merged = {**row._asdict(), **values}
    checking.check(merged)
    await checking.check_grades(app, assignment_id, merged)
    try:
        changed = await app.database.row(statements.change, assignment_id=assignment_id, values=values)
    except UniqueViolation:
        raise _taken(merged["name"]) from None
    return (await _all_read(app, principal, [changed]))[0]


async def _deadline_changes(app: App, row: Row, deadline: datetime) -> dict[str, Any]:
    """The history with one more change; nothing where the deadline stays."""
    if deadline == row.deadline:
        return {}
    at = await app.database.scalar(tokens.now)
    change = {"at": at.isoformat(), "before": row.deadline.isoformat(), "after": deadline.isoformat()}
    return {"deadline_changes": Jsonb([*row.deadline_changes, change][-MAX_DEADLINE_CHANGES:])}


async def page(
    app: App, principal: Principal, course_id: UUID | None, cursor: str | None, limit: int
) -> AssignmentPage:
    """One page of those of the principal's courses, newest first. Raises `InvalidCursor`."""
    narrowed = None if principal.sees_all else principal.standing.course_ids
    if course_id is not None:
        narrowed = [course_id] if principal.teaches(course_id) or principal.is_in(course_id) else []

    def fetch(before: UUID | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(statements.page, before=before, limit=most, courses=narrowed)

    rows, next_cursor = await paged("assignments", {"course": course_id}, cursor, limit, fetch)
    return AssignmentPage(items=await _all_read(app, principal, rows), next_cursor=next_cursor)


async def find(app: App, principal: Principal, assignment_id: UUID) -> Row:
    """An assignment of one of the principal's courses. Raises `AssignmentNotFound`."""
    row = await app.database.row(statements.by_id, assignment_id=assignment_id)
    if row is None or not (principal.teaches(row.course_id) or principal.is_in(row.course_id)):
        raise AssignmentNotFound(f"no assignment of yours has the id {assignment_id}")
    return row


async def taught(app: App, principal: Principal, assignment_id: UUID, *, changing: bool = False) -> Row:
    """One of a course that the principal teaches. Raises `AssignmentNotFound`, `Forbidden`, `CourseArchived`."""
    row = await find(app, principal, assignment_id)
    if not principal.teaches(row.course_id):
        raise Forbidden("only instructors of the assignment's course may do this")
    if changing:
        await check_open(app, row.course_id)
    return row


async def get(app: App, principal: Principal, assignment_id: UUID) -> AssignmentRead:
    """Raises `AssignmentNotFound`."""
    return (await _all_read(app, principal, [await find(app, principal, assignment_id)]))[0]


async def work(app: App, principal: Principal, assignment_id: UUID) -> WorkRead:
    """What the principal did for it. Raises `AssignmentNotFound`."""
    row = await find(app, principal, assignment_id)
    counts = {
        "user_id": principal.id,
        "course_id": row.course_id,
        "experiments": row.experiments,
        "questions": row.questions,
    }
    parts = await app.database.rows(statements.own_parts, **counts)
    runs = await app.database.rows(statements.own_runs, **counts, limit=MAX_OWN_RUNS)
    return WorkRead(
        assignment=(await _all_read(app, principal, [row]))[0],
        parts=_parts(row, {(one.kind, one.name): one for one in parts}),
        runs=[jobs.summary_of(one) for one in runs],
    )


def _parts(assignment: Row, counted: Mapping[tuple[str, str], Row]) -> list[PartRead]:
    titles = {entry.slug: entry.title for entry in catalogue.page().items}
    titles |= {name: template.title for name, template in templates().items()}
    wanted = [("question", name) for name in assignment.questions]
    wanted += [("experiment", name) for name in assignment.experiments]
    return [
        PartRead(
            kind=kind,
            name=name,
            # Its package may have left the lab.
            title=titles.get(name, name),
            runs=0 if (found := counted.get((kind, name))) is None else found.runs,
            succeeded=0 if found is None else found.succeeded,
        )
        for kind, name in wanted
    ]


async def _all_read(app: App, principal: Principal, rows: Sequence[Row]) -> list[AssignmentRead]:
    """The assignments with what the principal handed in for them."""
    ids = [row.id for row in rows]
    found = await app.database.rows(statements.submissions_of, user_id=principal.id, assignment_ids=ids)
    handed_in = {one.assignment_id: one for one in found}
    due = await app.database.rows(extensions.due_of, user_id=principal.id, assignment_ids=ids)
    due_at = {one.id: one.due_at for one in due}
    graded = await own_grades(app, principal.id, rows)
    return [
        _read(app, row, for_staff=principal.teaches(row.course_id)).model_copy(
            update={
                "your_submission": _own_submission(handed_in.get(row.id), row, principal),
                "your_grade": graded.get(row.id),
                "your_deadline": due_at[row.id],
                "your_deadline_text": deadlines.shown(due_at[row.id], app.settings.time_zone),
            }
        )
        for row in rows
    ]


def _own_submission(found: Row | None, assignment: Row, principal: Principal) -> SubmissionRead | None:
    return None if found is None else _submission(found, assignment, for_staff=principal.teaches(assignment.course_id))


async def overview(
    app: App,
    principal: Principal,
    assignment_id: UUID,
    among: Mapping[str, str | None],
    cursor: str | None,
    limit: int,
) -> OverviewRead:
    """One page of how students stand, those first who are stuck. Raises as `taught`, `InvalidCursor`."""
    row = await taught(app, principal, assignment_id)
    filters = {"assignment": assignment_id, **among}

    def fetch(after: tuple[str, UUID, str] | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(
            statements.overview,
            assignment_id=assignment_id,
            experiments=row.experiments,
            questions=row.questions,
            limit=most,
            after_place=after and statements.STANDINGS.index(after[0]),
            after_id=after and after[1],
            after_name=after and after[2],
            **among,
        )

    found, next_cursor = await paged(
        *("overview", filters, cursor, limit, fetch),
        decode=partial(decode_place, groups=statements.STANDINGS),
        position=lambda one: f"{one.state}/{one.id}/{one.name}",
    )
    return OverviewRead(
        assignment=_read(app, row, for_staff=True),
        states=found[0].states or {},
        submitted=found[0].submitted,
        students=[_standing(one, row) for one in found if one.id is not None],
        next_cursor=next_cursor,
    )


async def pin(app: App, principal: Principal, assignment_id: UUID, order: PinOrder) -> SubmissionRead:
    """Hand in one of the user's successful runs.

    Raises `AssignmentNotFound`, `CourseArchived`, `InvalidRequest`, `AssignmentOver`.
    """
    row = await find(app, principal, assignment_id)
    await check_open(app, row.course_id)
    job = await app.database.row(
        statements.belongs, job_id=order.job_id, experiments=row.experiments, questions=row.questions
    )
    if job is None or job.owner_id != principal.id:
        raise _wrong_job(order.job_id, "no job of yours has this id")
    if job.state != JobState.SUCCEEDED:
        raise _wrong_job(order.job_id, f"the job is {job.state}; you can hand in only a job that succeeded")
    if job.course_id != row.course_id:
        raise _wrong_job(order.job_id, "the job is of another course; run it again for the course of the assignment")
    if not job.belongs:
        raise _wrong_job(order.job_id, "the job does not count for this assignment")
    pinned = await app.database.row(
        statements.pin, assignment_id=assignment_id, user_id=principal.id, job_id=order.job_id
    )
    if pinned is None:
        raise await _over(app, principal, row)
    found = await _submitted(app, assignment_id, principal.id)
    if row.hidden_check is not None and found.check_job_id is None:
        await programs.check_hand_in(app, principal, row, principal.id, order.job_id)
    return await submission(app, principal, assignment_id, principal.id)


async def _over(app: App, principal: Principal, assignment: Row) -> AssignmentOver:
    (mine,) = await app.database.rows(extensions.due_of, user_id=principal.id, assignment_ids=[assignment.id])
    due, zone = deadlines.shown(mine.due_at, app.settings.time_zone), app.settings.time_zone
    if mine.ends_at is None or mine.now <= mine.ends_at:
        return AssignmentOver(f"the deadline was {due}; your submission stays as it is")
    if assignment.late_days == 0:
        return AssignmentOver(f"the deadline was {due}; late work is not accepted (late_days is 0)")
    days = counted(assignment.late_days, "day")
    ended = deadlines.shown(mine.ends_at, zone)
    return AssignmentOver(f"the deadline was {due}; late work was accepted for {days}, until {ended}")


async def submission(app: App, principal: Principal, assignment_id: UUID, user_id: UUID) -> SubmissionRead:
    """The principal's own, or one of a course that they teach. Raises `AssignmentNotFound`, `SubmissionNotFound`."""
    row = await find(app, principal, assignment_id)
    teaches = principal.teaches(row.course_id)
    if not (teaches or user_id == principal.id):
        raise Forbidden("only instructors of the assignment's course may do this")
    return _submission(await _submitted(app, assignment_id, user_id), row, for_staff=teaches)


async def check_again(app: App, principal: Principal, assignment_id: UUID, user_id: UUID) -> SubmissionRead:
    """Run the hidden check of a hand-in again. Raises `AssignmentNotFound`, `SubmissionNotFound`, `NoHiddenCheck`."""
    row = await taught(app, principal, assignment_id, changing=True)
    if row.hidden_check is None:
        raise NoHiddenCheck(f"the assignment {row.name!r} has no hidden check; set one first")
    found = await _submitted(app, assignment_id, user_id)
    await programs.check_hand_in(app, principal, row, user_id, found.job_id)
    return await submission(app, principal, assignment_id, user_id)


async def _submitted(app: App, assignment_id: UUID, user_id: UUID) -> Row:
    found = await app.database.row(statements.submission, assignment_id=assignment_id, user_id=user_id)
    if found is None:
        raise SubmissionNotFound("nothing was handed in")
    return found


async def submissions(
    app: App, principal: Principal, assignment_id: UUID, text: str | None, cursor: str | None, limit: int
) -> SubmissionPage:
    """One page of what was handed in, by name. Raises as `taught`, `InvalidCursor`."""
    row = await taught(app, principal, assignment_id)

    def fetch(after: tuple[UUID, str] | None, most: int) -> Awaitable[Sequence[Row]]:
        behind: dict[str, Any] = dict(zip(("after_id", "after_name"), after or (), strict=False))
        return app.database.rows(statements.submissions, assignment_id=assignment_id, text=text, limit=most, **behind)

    found, next_cursor = await paged(
        *("submissions", {"assignment": assignment_id, "text": text}, cursor, limit, fetch),
        decode=decode_id_and_name,
        position=lambda one: f"{one.user_id}/{one.user}",
    )
    return SubmissionPage(items=[_submission(one, row, for_staff=True) for one in found], next_cursor=next_cursor)


def _wrong_job(job_id: UUID, message: str) -> InvalidRequest:
    return InvalidRequest.of("job_id", message, value=job_id)


def _read(app: App, row: Row, *, for_staff: bool) -> AssignmentRead:
    text = deadlines.shown(row.deadline, app.settings.time_zone)
    values = {name: getattr(row, name) for name in NAMES} | {"max_points": rules.max_points(row)}
    values["hidden_check"] = row.hidden_check if for_staff else None
    return AssignmentRead(**values, deadline_text=text)


def _submission(row: Row, assignment: Row, *, for_staff: bool) -> SubmissionRead:
    names = ("assignment_id", "user_id", "user", "job_id", "experiment", "name", "pinned_at")
    return SubmissionRead(
        rerun_job_id=row.rerun_job_id if for_staff else None,
        **{name: getattr(row, name) for name in names},
        **_lateness(row, assignment),
        check=rules.check_read(row, assignment, for_staff=for_staff),
    )


def _lateness(row: Row, assignment: Row) -> dict[str, Any]:
    found = lateness(row.pinned_at, row.due_at, assignment)
    return {
        "late": found.days > 0,
        "due_at": row.due_at,
        "days_late": found.days,
        "deduction": found.deduction,
        "deduction_unit": found.unit,
    }


def _standing(row: Row, assignment: Row) -> StandingRead:
    failure = row.last_failure and FailureRead(
        job_id=row.last_failure,
        experiment=row.experiment,
        name=row.failure_name,
        cause=row.cause,
        message=row.message,
        at=row.finished_at,
    )
    handed_in = row.job_id and SubmissionRead(
        assignment_id=assignment.id,
        user_id=row.id,
        user=row.name,
        job_id=row.job_id,
        experiment=row.job_experiment,
        name=row.job_name,
        pinned_at=row.pinned_at,
        rerun_job_id=row.rerun_job_id,
        **_lateness(row, assignment),
    )
    return StandingRead(
        user_id=row.id,
        name=row.name,
        section=row.section,
        team=row.team,
        state=row.state,
        first_success_at=row.first_success_at,
        last_run_at=row.last_run_at,
        last_failure=failure,
        submission=handed_in,
        **{name: getattr(row, name) for name in statements.COUNTS},
    )
