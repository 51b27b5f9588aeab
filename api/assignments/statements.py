"""Assignments: what belongs to them, how the class stands, which runs were handed in."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    Select,
    Update,
    Uuid,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, array, insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from api.jobs.statements import SUMMARY
from gpulab.states import JobState
from models.composed import statement
from models.deadlines import DUE_AT, IS_STUDENT, LATE_TIME
from models.tables.assignment import Assignment, Submission
from models.tables.courses import CourseMember
from models.tables.job import Job
from models.tables.study import Study, StudyRun
from models.tables.user import User

COUNTS = ("runs", "earlier_runs", "succeeded", "failed", "unfinished")
SUCCEEDED, FAILED = JobState.SUCCEEDED.value, JobState.FAILED.value
RELEASED_FIRST = func.coalesce(Assignment.points_released_at, func.now())
"""Points that were released stay released since then."""


@statement(anew=True)
def create(values: Mapping[str, Any]) -> ReturningInsert[Any]:
    """No row where the name is taken."""
    unique = [Assignment.course_id, Assignment.name]
    made = insert(Assignment).values(**values).on_conflict_do_nothing(index_elements=unique)
    return made.returning(*Assignment.__table__.columns)


@statement(anew=True)
def change(assignment_id: UUID, values: Mapping[str, Any]) -> ReturningUpdate[Any]:
    changed = update(Assignment).where(Assignment.id == assignment_id).values(**values)
    return changed.returning(*Assignment.__table__.columns)


@statement
def by_id(assignment_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*Assignment.__table__.columns).where(Assignment.id == assignment_id)


@statement
def page(*, limit: int, before: UUID | None = None, courses: Sequence[UUID] | None = None) -> Select[*tuple[Any, ...]]:
    """Newest first, at most `limit`, older than `before`; of `courses` where they are given."""
    statement = select(*Assignment.__table__.columns).order_by(Assignment.id.desc()).limit(limit)
    if courses is not None:
        statement = statement.where(Assignment.course_id == func.any(courses))
    return statement if before is None else statement.where(Assignment.id < before)


@statement
def belongs(job_id: UUID, experiments: Sequence[str], questions: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """Whose job it is, its course and state, and whether it is work on an assignment with these parts."""
    counts = belonging(experiments, questions).label("belongs")
    return select(Job.id, Job.owner_id, Job.course_id, Job.state, counts).where(Job.id == job_id)


def belonging(experiments: Sequence[str], questions: Sequence[str]) -> ColumnElement[bool]:
    """Whether a job is work on an assignment with these experiments and questions."""
    for_question = (
        select(StudyRun.study_id)
        .where(StudyRun.job_id == Job.id, StudyRun.questions.overlap(questions))
        .correlate(Job)
        .exists()
    )
    return or_(Job.experiment == func.any(experiments), for_question)


@statement
def own_runs(
    user_id: UUID, course_id: UUID, experiments: Sequence[str], questions: Sequence[str], *, limit: int
) -> Select[*tuple[Any, ...]]:
    """The user's runs that count: those that succeeded first, then the newest."""
    return (
        select(*SUMMARY)
        .join_from(Job, User, User.id == Job.owner_id)
        .where(Job.owner_id == user_id, Job.course_id == course_id, belonging(experiments, questions))
        .order_by((Job.state == SUCCEEDED).desc(), Job.id.desc())
        .limit(limit)
    )


@statement
def own_parts(
    user_id: UUID, course_id: UUID, experiments: Sequence[str], questions: Sequence[str]
) -> Select[*tuple[Any, ...]]:
    """How many runs the user has for each question and each experiment; none for those without a run."""
    counted = (
        func.count(Job.id.distinct()).label("runs"),
        func.count(Job.id.distinct()).filter(Job.state == SUCCEEDED).label("succeeded"),
    )
    by_experiment = (
        select(literal("experiment").label("kind"), Job.experiment.label("name"), *counted)
        .where(Job.owner_id == user_id, Job.course_id == course_id, Job.experiment == func.any(experiments))
        .group_by(Job.experiment)
    )
    planned = (
        select(Study.owner_id, StudyRun.job_id, func.unnest(StudyRun.questions).label("question"))
        .join_from(Study, StudyRun, StudyRun.study_id == Study.id)
        .where(Study.owner_id == user_id, Study.course_id == course_id)
        .subquery()
    )
    by_question = (
        select(literal("question").label("kind"), planned.c.question.label("name"), *counted)
        .join_from(planned, Job, Job.id == planned.c.job_id)
        .where(planned.c.question == func.any(questions))
        .group_by(planned.c.question)
    )
    return select(by_experiment.union_all(by_question).subquery())


HANDED_IN = Job.__table__.alias("handed_in")
STANDINGS = ("stuck", "not_started", "working", "good_run", "late", "handed_in")
"""The possible statuses of a student; those who need help come first."""
FAILURES_TO_BE_STUCK = 3
"""Of a student whose next run is on its way; without one, a single failure is enough."""


@statement
def overview(
    assignment_id: UUID,
    experiments: Sequence[str],
    questions: Sequence[str],
    *,
    limit: int,
    after_place: int | None = None,
    after_name: str | None = None,
    after_id: UUID | None = None,
    state: str | None = None,
    section: str | None = None,
    team: str | None = None,
    text: str | None = None,
) -> Select[*tuple[Any, ...]]:
    """How students who are let in stand: at most `limit`, by their state's `place` in `STANDINGS`, by name and by id.

    Each has their runs for it by state, the newest failure, and what they handed in. `states` counts the whole class,
    `submitted` what all of it handed in; where nobody is left, one row holds these alone.
    """
    listed = students(assignment_id, experiments, questions, section, team, text)
    submitted = select(func.count(listed.c.job_id)).scalar_subquery()
    totals = select(state_counts(listed).label("states"), submitted.label("submitted")).subquery()
    order = listed.c.place, listed.c.name, listed.c.id
    page = select(*listed.c).order_by(*order).limit(limit)
    if state is not None:
        page = page.where(listed.c.state == state)
    if after_place is not None:
        page = page.where(tuple_(*order) > tuple_(after_place, after_name, after_id))
    found = page.subquery()
    failure = Job.__table__.alias("failure")
    return (
        select(
            *totals.c,
            *found.c,
            *(failure.c[name] for name in ("experiment", "cause", "message", "finished_at")),
            failure.c.name.label("failure_name"),
        )
        .select_from(totals)
        .outerjoin(found, true())
        .outerjoin(failure, failure.c.id == found.c.last_failure)
        .order_by(found.c.place, found.c.name, found.c.id)
    )


def state_counts(listed: CTE) -> ScalarSelect[Any]:
    """How many of `students` are in each state, as an object."""
    counted = select(listed.c.state, func.count().label("count")).group_by(listed.c.state).subquery()
    return select(func.jsonb_object_agg(counted.c.state, counted.c.count)).scalar_subquery()


def students(
    assignment_id: UUID,
    experiments: Sequence[str],
    questions: Sequence[str],
    section: str | None,
    team: str | None,
    text: str | None,
) -> CTE:
    """Students who are let in, each with their runs for it by state, what they handed in, and where they stand."""
    work = _work(assignment_id, experiments, questions)
    # Runs from before the assignment are counted apart: they say nothing of the work on it.
    begun_at = select(Assignment.created_at).where(Assignment.id == assignment_id).scalar_subquery()
    is_new = work.c.submitted_at >= begun_at
    # Ids grow with time, and arrays have a maximum though single ids have none.
    newest = func.max(array([work.c.id]), type_=ARRAY(Uuid))
    found = (
        select(
            work.c.owner_id,
            func.count().filter(is_new).label("runs"),
            func.count().filter(~is_new).label("earlier_runs"),
            func.count().filter(is_new, work.c.state == SUCCEEDED).label("succeeded"),
            func.count().filter(is_new, work.c.state == FAILED).label("failed"),
            func.count().filter(is_new, work.c.finished_at.is_(None)).label("unfinished"),
            func.min(work.c.finished_at).filter(is_new, work.c.state == SUCCEEDED).label("first_success_at"),
            func.max(work.c.submitted_at).filter(is_new).label("last_run_at"),
            newest.filter(is_new, work.c.state == FAILED)[1].label("last_failure"),
        )
        .group_by(work.c.owner_id)
        .cte("found")
    )
    counts = [func.coalesce(found.c[name], 0) for name in COUNTS]
    stuck = (found.c.failed >= FAILURES_TO_BE_STUCK) | ((found.c.failed > 0) & (found.c.unfinished == 0))
    state = case(
        (Submission.pinned_at > DUE_AT, "late"),
        (Submission.pinned_at.is_not(None), "handed_in"),
        (found.c.succeeded > 0, "good_run"),
        (stuck, "stuck"),
        (found.c.runs > 0, "working"),
        else_="not_started",
    )
    one = (
        select(
            *(User.id, User.name, User.section, User.team),
            *(count.label(name) for count, name in zip(counts, COUNTS, strict=True)),
            *(found.c.first_success_at, found.c.last_run_at, found.c.last_failure),
            *(Submission.job_id, Submission.pinned_at, Submission.rerun_job_id),
            *(HANDED_IN.c.experiment.label("job_experiment"), HANDED_IN.c.name.label("job_name")),
            DUE_AT.label("due_at"),
            state.label("state"),
        )
        .join_from(User, found, found.c.owner_id == User.id, isouter=True)
        .outerjoin(Submission, (Submission.user_id == User.id) & (Submission.assignment_id == assignment_id))
        .outerjoin(HANDED_IN, HANDED_IN.c.id == Submission.job_id)
        .join(Assignment, Assignment.id == assignment_id)
        .join(CourseMember, IS_STUDENT)
        .where(User.disabled_at.is_(None), *among(section, team, text))
        .subquery()
    )
    place = case({name: place for place, name in enumerate(STANDINGS)}, value=one.c.state)
    return select(*one.c, place.label("place")).cte("students")


def among(section: str | None, team: str | None, text: str | None) -> list[ColumnElement[bool]]:
    """Who is meant, where fewer than the whole class are."""
    conditions: list[ColumnElement[bool]] = []
    if section is not None:
        conditions.append(User.section == section)
    if team is not None:
        conditions.append(User.team == team)
    if text is not None:
        words = func.lower(text)
        conditions.append(or_(func.strpos(func.lower(User.name), words) > 0, func.strpos(User.email, words) > 0))
    return conditions


def _work(assignment_id: UUID, experiments: Sequence[str], questions: Sequence[str]) -> CTE:
    """The jobs that are work on it, with whose they are; a run that is reused is its study's owner's too."""
    course_id = select(Assignment.course_id).where(Assignment.id == assignment_id).scalar_subquery()
    columns = (Job.id, Job.state, Job.submitted_at, Job.finished_at)
    by_experiment = Job.experiment == func.any(experiments)
    alone = select(Job.owner_id, *columns).where(by_experiment, Job.course_id == course_id)
    planned = (
        select(Study.owner_id, StudyRun.job_id)
        .join_from(Study, StudyRun, StudyRun.study_id == Study.id)
        .where(StudyRun.questions.overlap(questions), Study.course_id == course_id)
        .distinct()
        .subquery()
    )
    in_studies = (
        select(planned.c.owner_id, *columns)
        .join_from(planned, Job, Job.id == planned.c.job_id)
        .where(~(by_experiment & (Job.owner_id == planned.c.owner_id)))
    )
    return alone.union_all(in_studies).cte("work")


CHECK = Job.__table__.alias("check_job")
CHECKED = (
    Submission.check_job_id,
    CHECK.c.state.label("check_state"),
    CHECK.c.result.label("check_result"),
    CHECK.c.message.label("check_message"),
)
SUBMISSION = (
    Submission.assignment_id,
    Submission.user_id,
    User.name.label("user"),
    Submission.job_id,
    Job.experiment,
    Job.name,
    Submission.pinned_at,
    Submission.rerun_job_id,
    DUE_AT.label("due_at"),
    *CHECKED,
)


@statement
def submission(assignment_id: UUID, user_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(*SUBMISSION)
        .join_from(Submission, User, User.id == Submission.user_id)
        .join(Job, Job.id == Submission.job_id)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .outerjoin(CHECK, CHECK.c.id == Submission.check_job_id)
        .where(Submission.assignment_id == assignment_id, Submission.user_id == user_id)
    )


@statement
def submissions_of(user_id: UUID, assignment_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """What the user handed in for these assignments."""
    return (
        select(*SUBMISSION)
        .join_from(Submission, User, User.id == Submission.user_id)
        .join(Job, Job.id == Submission.job_id)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .outerjoin(CHECK, CHECK.c.id == Submission.check_job_id)
        .where(Submission.user_id == user_id, Submission.assignment_id == func.any(assignment_ids))
    )


@statement
def submissions(
    assignment_id: UUID,
    *,
    limit: int,
    text: str | None = None,
    after_name: str | None = None,
    after_id: UUID | None = None,
) -> Select[*tuple[Any, ...]]:
    """By name and id, at most `limit`."""
    statement = (
        select(*SUBMISSION)
        .join_from(Submission, User, User.id == Submission.user_id)
        .join(Job, Job.id == Submission.job_id)
        .join(Assignment, Assignment.id == Submission.assignment_id)
        .outerjoin(CHECK, CHECK.c.id == Submission.check_job_id)
        .where(Submission.assignment_id == assignment_id, *among(None, None, text))
        .order_by(User.name, User.id)
        .limit(limit)
    )
    if after_name is None:
        return statement
    return statement.where(tuple_(User.name, User.id) > tuple_(after_name, after_id))


@statement
def pin(assignment_id: UUID, user_id: UUID, job_id: UUID) -> ReturningInsert[Any]:
    """Hand a run in, in the place of the one before.

    No row: late work is no longer accepted, or the deadline is over and what is there was in time.
    """
    mine = (
        select(DUE_AT.label("due_at"), (DUE_AT + LATE_TIME).label("ends_at"))
        .join_from(Assignment, User, User.id == user_id)
        .where(Assignment.id == assignment_id)
        .cte("mine")
    )
    due_at = select(mine.c.due_at).scalar_subquery()
    given = (cast(one, Uuid) for one in (assignment_id, user_id, job_id))
    accepted = select(*given).select_from(mine).where(or_(mine.c.ends_at.is_(None), func.now() <= mine.c.ends_at))
    statement = insert(Submission).from_select(["assignment_id", "user_id", "job_id"], accepted)
    rerun, check = (
        case((Submission.job_id == job_id, column)) for column in (Submission.rerun_job_id, Submission.check_job_id)
    )
    return statement.on_conflict_do_update(
        index_elements=[Submission.assignment_id, Submission.user_id],
        set_={"job_id": job_id, "pinned_at": func.now(), "rerun_job_id": rerun, "check_job_id": check},
        where=or_(func.now() <= due_at, Submission.pinned_at > due_at),
    ).returning(Submission.job_id)


@statement
def rerun(assignment_id: UUID, user_id: UUID, job_id: UUID, rerun_job_id: UUID) -> Update:
    """Remember the re-run of a run that is still the one handed in."""
    return (
        update(Submission)
        .where(Submission.assignment_id == assignment_id, Submission.user_id == user_id, Submission.job_id == job_id)
        .values(rerun_job_id=rerun_job_id)
    )


@statement
def checked(assignment_id: UUID, user_id: UUID, job_id: UUID, check_job_id: UUID) -> Update:
    """Remember the check of a run that is still the one handed in."""
    return (
        update(Submission)
        .where(Submission.assignment_id == assignment_id, Submission.user_id == user_id, Submission.job_id == job_id)
        .values(check_job_id=check_job_id)
    )
