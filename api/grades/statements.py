"""Grades: what every source says about each student's work, and the grades by hand that staff give."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Double,
    Select,
    Text,
    Uuid,
    cast,
    column,
    func,
    insert,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on

from api.assignments.statements import CHECK, CHECKED, among
from api.audit.statements import Origin, audited
from api.users.statements import user_target
from gpulab.states import FINAL_STATES, JobState
from models.composed import statement
from models.deadlines import DUE_AT, IS_STUDENT
from models.tables.assignment import Assignment, Grade, Submission
from models.tables.courses import CourseMember
from models.tables.job import Job
from models.tables.user import User

RERUN = Job.__table__.alias("rerun_job")
GRADER, CHECK_OWNER, RERUN_OWNER = (User.__table__.alias(name) for name in ("grader", "check_owner", "rerun_owner"))
FINAL = [state.value for state in FINAL_STATES]
HAND = (
    select(Grade)
    .where(Grade.assignment_id == Assignment.id, Grade.user_id == User.id)
    .order_by(Grade.id.desc())
    .limit(1)
    .correlate(Assignment, User)
    .lateral("hand")
)
"""The newest grade by hand of a user, or that it was taken back."""
GIVEN = ~HAND.c.removed


def _of_students() -> Select[*tuple[Any, ...]]:
    return (
        select(
            *(User.id.label("user_id"), User.name.label("user"), User.email, User.section, User.team),
            *(Assignment.id.label("assignment_id"), DUE_AT.label("due_at")),
            *(Submission.job_id, Submission.pinned_at, Job.result.label("job_result")),
            *CHECKED,
            *(CHECK.c.finished_at.label("check_finished_at"), CHECK_OWNER.c.name.label("check_owner")),
            *(RERUN.c.id.label("rerun_job_id"), RERUN.c.state.label("rerun_state")),
            *(RERUN.c.result.label("rerun_result"), RERUN.c.finished_at.label("rerun_finished_at")),
            RERUN_OWNER.c.name.label("rerun_owner"),
            *(HAND.c[name].label(f"grade_{name}") for name in ("job_id", "points", "comment", "rubric", "at")),
            GRADER.c.name.label("grader"),
        )
        .select_from(Assignment)
        .join(CourseMember, CourseMember.course_id == Assignment.course_id)
        .join(User, IS_STUDENT)
        .outerjoin(Submission, (Submission.user_id == User.id) & (Submission.assignment_id == Assignment.id))
        .outerjoin(RERUN, RERUN.c.id == Submission.rerun_job_id)
        # Results may be long: one that is compared with nothing is not read.
        .outerjoin(Job, (Job.id == Submission.job_id) & (RERUN.c.state == JobState.SUCCEEDED.value))
        .outerjoin(RERUN_OWNER, RERUN_OWNER.c.id == RERUN.c.owner_id)
        .outerjoin(CHECK, CHECK.c.id == Submission.check_job_id)
        .outerjoin(CHECK_OWNER, CHECK_OWNER.c.id == CHECK.c.owner_id)
        .outerjoin(HAND, GIVEN)
        .outerjoin(GRADER, GRADER.c.id == HAND.c.grader_id)
    )


@statement
def above(assignment_id: UUID, points: float) -> Select[*tuple[Any, ...]]:
    """How many students have more than these points by hand, and the most of them."""
    newest = (
        select(Grade.points, Grade.removed)
        .ext(distinct_on(Grade.user_id))
        .where(Grade.assignment_id == assignment_id)
        .order_by(Grade.user_id, Grade.id.desc())
        .subquery()
    )
    found = select(func.count().label("students"), func.max(newest.c.points).label("highest"))
    return found.where(~newest.c.removed, newest.c.points > points)


@statement
def of_class(
    assignment_id: UUID,
    *,
    limit: int,
    text: str | None = None,
    after_name: str | None = None,
    after_id: UUID | None = None,
) -> Select[*tuple[Any, ...]]:
    """Students who are not disabled, by name, at most `limit`."""
    found = (
        _of_students()
        .where(Assignment.id == assignment_id, User.disabled_at.is_(None))
        .where(*among(None, None, text))
        .order_by(User.name, User.id)
        .limit(limit)
    )
    return found if after_name is None else found.where(tuple_(User.name, User.id) > tuple_(after_name, after_id))


@statement
def of_user(assignment_id: UUID, user_id: UUID) -> Select[*tuple[Any, ...]]:
    """One student's, also of one who is disabled."""
    return _of_students().where(Assignment.id == assignment_id, User.id == user_id)


@statement
def released_of(user_id: UUID, assignment_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """The user's own, of those assignments whose grades are released."""
    return _of_students().where(
        User.id == user_id,
        Assignment.id == func.any(assignment_ids),
        Assignment.points_released_at.is_not(None),
    )


@statement
def history(assignment_id: UUID, user_id: UUID, *, limit: int) -> Select[*tuple[Any, ...]]:
    """Grades by hand, newest first."""
    return (
        select(*Grade.__table__.columns, User.name.label("by"))
        .join_from(Grade, User, User.id == Grade.grader_id)
        .where(Grade.assignment_id == assignment_id, Grade.user_id == user_id)
        .order_by(Grade.id.desc())
        .limit(limit)
    )


@statement(anew=True)
def give(rows: Any, assignment_id: UUID, grader_id: UUID, origin: Origin, action: str) -> Select[Any]:
    """Add grades by hand, each with its event. `rows` is a JSON list of objects: `user_id`, `points`, `comment`,
    `rubric`, `removed`, `from_table`.
    """
    given = (
        func.jsonb_to_recordset(cast(rows, JSONB))
        .table_valued(
            *(column("user_id", Uuid), column("points", Double), column("comment", Text)),
            *(column("rubric", JSONB), column("removed", Boolean), column("from_table", Boolean)),
            name="given_grade",
        )
        .render_derived(with_types=True)
    )
    handed_in = (Submission.assignment_id == assignment_id) & (Submission.user_id == given.c.user_id)
    names = ("user_id", "points", "comment", "rubric", "removed", "from_table")
    made = (
        insert(Grade)
        .from_select(
            ["assignment_id", "grader_id", "job_id", *names],
            select(
                literal(assignment_id, Uuid),
                literal(grader_id, Uuid),
                Submission.job_id,
                *(given.c[name] for name in names),
            )
            .select_from(given)
            .outerjoin(Submission, handed_in),
        )
        .returning(Grade.user_id, Grade.points, Grade.job_id)
        .cte("made")
    )
    details = func.jsonb_build_object(
        *("assignment_id", cast(assignment_id, Uuid), "points", made.c.points, "job_id", made.c.job_id)
    )
    return audited(made, origin, action, user_target(made.c.user_id), details)


@statement
def to_run_again(
    assignment_id: UUID, *, limit: int, everyone: bool, after: UUID | None = None
) -> Select[*tuple[Any, ...]]:
    """Submissions to run again, in the order of their users: those without a re-run that waits or succeeded."""
    done = RERUN.c.state.not_in(FINAL) | (RERUN.c.state == JobState.SUCCEEDED.value)
    found = (
        select(Submission.user_id, Submission.job_id, func.count().over().label("left"))
        .outerjoin(RERUN, RERUN.c.id == Submission.rerun_job_id)
        .where(Submission.assignment_id == assignment_id, cast(everyone, Boolean) | ~func.coalesce(done, False))
        .order_by(Submission.user_id)
        .limit(limit)
    )
    return found if after is None else found.where(Submission.user_id > after)


@statement
def reruns(assignment_id: UUID) -> Select[*tuple[Any, ...]]:
    """Every submission with its re-run, and both results where there are two."""
    return (
        select(
            *(RERUN.c.id.label("rerun_job_id"), RERUN.c.state.label("rerun_state")),
            *(RERUN.c.result.label("rerun_result"), Job.result.label("job_result")),
        )
        .select_from(Submission)
        .outerjoin(RERUN, RERUN.c.id == Submission.rerun_job_id)
        .outerjoin(Job, (Job.id == Submission.job_id) & (RERUN.c.state == JobState.SUCCEEDED.value))
        .where(Submission.assignment_id == assignment_id)
    )
