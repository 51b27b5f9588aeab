"""Studies: submitting all runs at once, finding runs that need not run again, and what a study's state is.

Every change is one statement: a study is there with all its jobs, or not at all.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    Text,
    Uuid,
    case,
    cast,
    column,
    delete,
    func,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by, distinct_on, insert

from api.jobs.statements import REPEATED, submit_all
from api.sharing.statements import shared, visible_to
from gpulab.states import JobState
from models.composed import statement
from models.statements.allowances import has_room, room
from models.tables.job import Job
from models.tables.study import Study, StudyRun
from models.tables.user import User

OWNER = User.name.label("owner")
OWNER_TEAM = User.team.label("owner_team")
SUCCEEDED = JobState.SUCCEEDED.value
FINAL = Job.finished_at.is_not(None)
"""Of a job: a constraint of the table holds the two together."""
COPIED_BY_RETRY = ("owner_id", "course_id", *REPEATED)


@statement(anew=True)
def create(
    values: dict[str, Any], runs: Any, *, max_queued: int | None, actor: str | ColumnElement[str]
) -> Select[Any]:
    """Insert a study with its runs: a row for each new job.

    Nothing happens where the owner has used the key before, or where their queue has no room for all new jobs.

    `runs` is a JSON list of objects: `position`, `questions`, `cell`, `reused`, and either the `job_id` of a job that
    is there or the fields of `REPEATED`.
    """
    given, owner_id = _given(runs), values["owner_id"]
    columns = (literal(value, Study.__table__.c[name].type) for name, value in values.items())
    study = (
        insert(Study)
        .from_select(list(values), select(*columns).where(_has_room(owner_id, given, max_queued)))
        .on_conflict_do_nothing(index_elements=[Study.owner_id, Study.idempotency_key])
        .returning(Study.id, Study.owner_id, Study.course_id)
        .cte("study")
    )
    return _with_runs(study, given, actor)


@statement(anew=True)
def replan(
    study: Any, definition: Any, runs: Any, count: int, *, max_queued: int | None, actor: str | ColumnElement[str]
) -> Select[Any]:
    """Give a study, a row of `by_id`, other runs, `count` in all, `runs` as in `create`.

    Nothing happens where its revision is another one by now, or where its owner's queue has no room.
    """
    given = _given(runs)
    changed = (
        update(Study)
        .where(
            Study.id == study.id,
            Study.revision == study.revision,
            _has_room(study.owner_id, given, max_queued),
        )
        .values(definition=cast(definition, JSONB), revision=Study.revision + 1, cancelled_at=None)
        .returning(Study.id, Study.owner_id, Study.course_id)
        .cte("study")
    )
    gone = (
        delete(StudyRun)
        .where(StudyRun.study_id == select(changed.c.id).scalar_subquery(), StudyRun.position >= count)
        .returning(StudyRun.position)
        .cte("gone")
    )
    return _with_runs(changed, given, actor).add_cte(gone)


def _has_room(owner_id: UUID, given: CTE, max_queued: int | None) -> ColumnElement[bool]:
    owner = literal(owner_id, Uuid)
    more = select(func.count()).select_from(given).where(given.c.job_id.is_(None)).scalar_subquery()
    return has_room(owner, more, room(select(owner), max_queued))


@statement
def failed(study_id: UUID) -> Select[int]:
    """How many of the study's runs failed or were cancelled."""
    runs = select(func.count()).select_from(StudyRun).join(Job, Job.id == StudyRun.job_id)
    return runs.where(StudyRun.study_id == study_id, FINAL, Job.state != SUCCEEDED)


@statement(anew=True)
def retry(study_id: UUID, owner_id: UUID, *, max_queued: int | None, actor: str | ColumnElement[str]) -> Select[Any]:
    """New jobs in the place of those that failed or were cancelled: a row for each.

    Nothing happens where the queue of the owner has no room for all of them.
    """
    owner = literal(owner_id, Uuid)
    more = failed(study_id).scalar_subquery()
    study = (
        update(Study)
        .where(Study.id == study_id, has_room(owner, more, room(select(owner), max_queued)))
        .values(revision=Study.revision + 1, cancelled_at=None)
        .returning(Study.id)
        .cte("study")
    )
    old = (
        select(StudyRun.position, StudyRun.job_id, func.uuidv7().label("new_id"))
        .join(Job, Job.id == StudyRun.job_id)
        .where(StudyRun.study_id == study_id, FINAL, Job.state != SUCCEEDED)
        # Of two that retry at once, the second waits here and then finds other jobs.
        .with_for_update(of=StudyRun)
        .cte("old")
    )
    orders = select(
        old.c.new_id.label("id"),
        old.c.job_id.label("retry_of"),
        study.c.id.label("study_id"),
        *(Job.__table__.c[name] for name in COPIED_BY_RETRY),
    ).select_from(old.join(Job, Job.id == old.c.job_id).join(study, true()))
    placed = (
        update(StudyRun)
        .where(StudyRun.study_id == select(study.c.id).scalar_subquery(), StudyRun.position == old.c.position)
        .values(job_id=old.c.new_id, reused=False)
        .returning(StudyRun.position)
        .cte("placed")
    )
    return submit_all(orders, actor=actor, message="run of a study, again").add_cte(placed)


@statement
def cancelled(study_id: UUID) -> Any:
    """Remember that the study was cancelled; the first time counts."""
    return (
        update(Study)
        .where(Study.id == study_id, Study.cancelled_at.is_(None))
        .values(cancelled_at=func.now(), revision=Study.revision + 1)
    )


@statement
def reported(study_id: UUID, job_id: UUID) -> Any:
    return update(Study).where(Study.id == study_id).values(report_job_id=job_id)


@statement
def reusable(owner_id: UUID, course_id: UUID | None, runs: Any) -> Select[*tuple[Any, ...]]:
    """Position and newest job of each of `runs` that succeeded for its owner: of the course, with spec and seed."""
    given = _given(runs)
    return (
        select(given.c.position, Job.id.label("job_id"))
        .join_from(given, Job, _same_run(given))
        .where(Job.owner_id == owner_id, Job.state == SUCCEEDED, Job.course_id.is_not_distinct_from(course_id))
        .ext(distinct_on(given.c.position))
        .order_by(given.c.position, Job.id.desc())
    )


@statement
def members(study_id: UUID, runs: Any) -> Select[*tuple[Any, ...]]:
    """Position and job of each of `runs` that the study has already."""
    given = _given(runs)
    return (
        select(given.c.position, StudyRun.job_id, StudyRun.reused)
        .join_from(given, Job, _same_run(given))
        .join(StudyRun, StudyRun.job_id == Job.id)
        .where(StudyRun.study_id == study_id)
    )


@statement
def new_id() -> Select[UUID]:
    return select(func.uuidv7())


@statement
def by_id(study_id: UUID) -> Select[*tuple[Any, ...]]:
    found = select(*Study.__table__.columns, OWNER, OWNER_TEAM).join(User, User.id == Study.owner_id)
    return found.where(Study.id == study_id)


@statement
def by_idempotency_key(owner_id: UUID, key: str) -> Select[*tuple[Any, ...]]:
    return (
        select(*Study.__table__.columns, OWNER)
        .join(User, User.id == Study.owner_id)
        .where(Study.owner_id == owner_id, Study.idempotency_key == key)
    )


@statement
def page(
    *,
    limit: int,
    before: UUID | None = None,
    owner_id: UUID | None = None,
    owners: Sequence[UUID] | None = None,
    text: str | None = None,
    course: UUID | None = None,
    shared_with_class: bool | None = None,
    shared_with_team: str | None = None,
    shared_in: Sequence[UUID] | None = None,
    taught: Sequence[UUID] | None = None,
) -> Select[*tuple[Any, ...]]:
    """Newest first, at most `limit`, older than `before`. Narrowed as the page of jobs."""
    conditions: list[ColumnElement[bool]] = []
    if shared_with_class is not None:
        conditions.append(shared(Study, shared_with_team, shared_in))
    if before is not None:
        conditions.append(Study.id < before)
    if owner_id is not None:
        conditions.append(visible_to(Study, owner_id, taught))
    conditions += [] if owners is None else [Study.owner_id == func.any(owners)]
    conditions += [] if course is None else [Study.course_id == course]
    if text is not None:
        named = func.lower(func.concat_ws(" ", Study.name, Study.title, Study.template))
        conditions.append(func.strpos(named, func.lower(text)) > 0)
    listed = select(*Study.__table__.columns, OWNER).join(User, User.id == Study.owner_id).where(*conditions)
    return listed.order_by(Study.id.desc()).limit(limit)


@statement
def counts(study_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """Of each study: its runs by state, the progress that they add up to, and how many were reused."""
    done = case((FINAL, 1.0), else_=func.coalesce(Job.progress_fraction, 0.0))
    return (
        select(
            StudyRun.study_id,
            Job.state,
            func.count().label("runs"),
            func.sum(done).label("done"),
            func.count().filter(StudyRun.reused).label("reused"),
        )
        .join(Job, Job.id == StudyRun.job_id)
        .where(StudyRun.study_id == func.any(study_ids))
        .group_by(StudyRun.study_id, Job.state)
    )


@statement
def runs(study_id: UUID) -> Select[*tuple[Any, ...]]:
    """Every run with its job as it is now, without its result."""
    return (
        select(
            *(StudyRun.position, StudyRun.questions, StudyRun.cell),
            *(Job.id, Job.experiment, Job.spec, Job.seed, Job.state, Job.cause, Job.message),
            *(Job.device, Job.gpu_uuids, Job.versions, Job.started_at, Job.finished_at),
        )
        .join(Job, Job.id == StudyRun.job_id)
        .where(StudyRun.study_id == study_id)
        .order_by(StudyRun.position)
    )


@statement
def results(job_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    return select(Job.id, Job.result).where(Job.id == func.any(job_ids))


@statement
def version(study_id: UUID) -> Select[*tuple[Any, ...]]:
    """`version` differs whenever the runs do, and `marks` whenever the study itself does."""
    has_job = Job.id.is_not(None)
    # A finished run that gets another name is still the same run.
    each = func.concat(StudyRun.job_id, ".", case((FINAL, cast(Job.state, Text)), else_=cast(Job.version, Text)))
    return (
        select(
            func.concat(Study.revision, ".", func.md5(func.string_agg(each, _ordered(",")))).label("version"),
            # A study whose runs were all deleted has none, and is final.
            func.coalesce(func.bool_and(FINAL).filter(has_job), true()).label("final"),
            func.count().filter(has_job, ~FINAL).label("unfinished"),
            # These ask for no other report.
            func.concat_ws(
                ".",
                Study.report_job_id,
                func.extract("epoch", Study.cancelled_at),
                Study.shared_with,
                func.md5(User.name),
            ).label("marks"),
        )
        .join_from(Study, User, User.id == Study.owner_id)
        .outerjoin(StudyRun, StudyRun.study_id == Study.id)
        .outerjoin(Job, Job.id == StudyRun.job_id)
        .where(Study.id == study_id)
        .group_by(Study.id, User.id)
    )


@statement
def unfinished(study_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(Job.id)
        .join(StudyRun, StudyRun.job_id == Job.id)
        .where(StudyRun.study_id == study_id, ~FINAL)
        .order_by(Job.id)
    )


@statement
def orphans(study_id: UUID) -> Select[*tuple[Any, ...]]:
    """Unfinished jobs that the study submitted and that no study wants any more."""
    wanted = select(StudyRun.job_id).where(StudyRun.job_id == Job.id).exists()
    return select(Job.id).where(Job.study_id == study_id, ~FINAL, ~wanted)


@statement
def report_job(owner_id: UUID, key: str) -> Select[*tuple[Any, ...]]:
    """The job that renders one version of a study's report; its spec, which holds every result, stays where it is."""
    return select(Job.id, Job.state, Job.cause, Job.message, Job.version).where(
        Job.owner_id == owner_id, Job.idempotency_key == key
    )


def _given(runs: Any) -> CTE:
    """The JSON list as rows, each with an id for the job it may need."""
    table = (
        func.jsonb_to_recordset(cast(runs, JSONB))
        .table_valued(
            column("position", Integer),
            column("job_id", Uuid),
            column("questions", ARRAY(Text)),
            column("cell", JSONB),
            column("reused", Boolean),
            column("experiment", Text),
            column("spec", JSONB),
            column("seed", BigInteger),
            column("name", Text),
            column("tags", ARRAY(Text)),
            column("priority", Text),
            column("time_limit_seconds", Integer),
            column("gpus", Integer),
            column("gpu_memory_bytes", BigInteger),
            column("exclusive", Boolean),
            column("datasets", ARRAY(Text)),
            column("estimate_id", Uuid),
            name="given_run",
        )
        .render_derived(with_types=True)
    )
    return select(*table.c, func.uuidv7().label("new_id")).cte("given")


def _same_run(given: CTE) -> ColumnElement[bool]:
    return (Job.experiment == given.c.experiment) & (Job.seed == given.c.seed) & (Job.spec == given.c.spec)


def _with_runs(study: CTE, given: CTE, actor: str | ColumnElement[str]) -> Select[Any]:
    """Jobs for the rows of `given` that have none, and a run for every row."""
    orders = (
        select(
            given.c.new_id.label("id"),
            study.c.id.label("study_id"),
            *(study.c.owner_id, study.c.course_id),
            *(given.c[name] for name in REPEATED),
        )
        .join_from(given, study, true())
        .where(given.c.job_id.is_(None))
        .order_by(given.c.position)
    )
    members = select(
        study.c.id,
        given.c.position,
        func.coalesce(given.c.job_id, given.c.new_id),
        given.c.questions,
        given.c.cell,
        given.c.reused,
    ).join_from(given, study, true())
    placing = insert(StudyRun).from_select(["study_id", "position", "job_id", "questions", "cell", "reused"], members)
    changes = {name: placing.excluded[name] for name in ("job_id", "questions", "cell", "reused")}
    placed = (
        placing.on_conflict_do_update(index_elements=[StudyRun.study_id, StudyRun.position], set_=changes)
        .returning(StudyRun.position)
        .cte("placed")
    )
    return submit_all(orders, actor=actor, message="run of a study").add_cte(placed)


def _ordered(separator: str) -> Any:
    return aggregate_order_by(literal(separator, Text), StudyRun.position)
