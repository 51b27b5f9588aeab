"""Submitting, reading, listing, cancelling."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from api.sharing.statements import visible_to
from gpulab.states import JobState
from models.channels import JOBS
from models.composed import statement
from models.statements.allowances import room
from models.statements.memory.estimate_turns import take_over
from models.statements.memory.estimates import ask_quietly
from models.statements.transitions import announce
from models.tables.estimate import Estimate
from models.tables.event import JobEvent
from models.tables.job import Job
from models.tables.node import Gpu
from models.tables.program import Program, ProgramUpload
from models.tables.user import User

LEASED, RUNNING, QUEUED = (state.value for state in (JobState.LEASED, JobState.RUNNING, JobState.QUEUED))


REPEATED = (
    "experiment",
    "spec",
    "seed",
    "name",
    "tags",
    "priority",
    "time_limit_seconds",
    "gpus",
    "gpu_memory_bytes",
    "exclusive",
    "datasets",
    "estimate_id",
)
"""The columns that a job has in common with the one that repeats it."""
ORDERED = ("owner_id", "course_id", "idempotency_key", "request_digest", "retry_of", *REPEATED)
"""The columns of a submission."""


@statement(anew=True)
def submit(values: dict[str, Any], *, actor: str) -> Select[Any]:
    """Insert one queued job and notify of it. No row: its owner has used the idempotency key before."""
    orders = insert(Job).values(state=QUEUED, **values)
    return announce(_queued(orders), event="job.submitted", actor=actor, message="submitted")


@statement
def submit_many(orders: str, questions: str, max_queued: int | None) -> Select[Any]:
    """Insert a queued job for each order, and the questions about their memory that nobody put before; in silence.

    `orders` is a JSON list of objects with the columns of `ORDERED`, an `ordinal`, and `actor` and `message` of the
    event; `questions` is one as `estimates.ask_all` takes it; `max_queued` is the lab's limit of a user's jobs that
    wait. A row for each job with its `ordinal`, and what is known of the answer about it; none for an order whose owner
    has used the idempotency key before, or whose owner's queue is full.
    """
    given = _given(orders)
    new = _new(given)
    free = room(select(given.c.owner_id), max_queued)
    # In one order, so that two who put the same keys never wait for each other.
    sorted_orders = (
        select(new.c.id, *(new.c[name] for name in ORDERED), literal(QUEUED, Text))
        .join(free, free.c.user_id == new.c.owner_id)
        .where(or_(free.c.free.is_(None), new.c.place <= free.c.free))
        .order_by(new.c.owner_id, new.c.idempotency_key, new.c.ordinal)
    )
    changed = _queued(insert(Job).from_select(["id", *ORDERED, "state"], sorted_orders))
    actor, message = (
        select(given.c[name]).where(given.c.id == changed.c.id).scalar_subquery() for name in ("actor", "message")
    )
    known = (
        column.where(Estimate.id == given.c.estimate_id).scalar_subquery().label(name)
        for column, name in zip(_ESTIMATE, ESTIMATE_NAMES, strict=True)
    )
    return (
        announce(changed, event="job.submitted", actor=actor, message=message, notify=False)
        .join(given, given.c.id == changed.c.id)
        .add_columns(given.c.ordinal, *known)
        .add_cte(ask_quietly(questions).cte("asked"), take_over(questions).cte("taken_over"))
    )


def _given(orders: str) -> CTE:
    """The rows of a JSON list of orders, each with the id of its job."""
    columns = (column(name, Job.__table__.c[name].type) for name in ORDERED)
    table = (
        func.jsonb_to_recordset(cast(orders, JSONB))
        .table_valued(
            column("ordinal", Integer), column("actor", Text), column("message", Text), *columns, name="given_order"
        )
        .render_derived(with_types=True)
    )
    return select(*table.c, func.uuidv7().label("id")).cte("given")


def _new(given: CTE) -> CTE:
    """The orders that repeat none, neither a job nor an earlier order, each with its `place` among its owner's."""
    key = given.c.idempotency_key
    is_used = select(Job.id).where(Job.owner_id == given.c.owner_id, Job.idempotency_key == key).exists()
    number = func.row_number().over(
        partition_by=(given.c.owner_id, key, case((key.is_(None), given.c.ordinal))), order_by=given.c.ordinal
    )
    numbered = select(*given.c, number.label("number")).where(or_(key.is_(None), ~is_used)).cte("numbered")
    place = func.row_number().over(partition_by=numbered.c.owner_id, order_by=numbered.c.ordinal)
    return select(*numbered.c, place.label("place")).where(numbered.c.number == 1).cte("new")


def submit_all(
    orders: Select[Any], *, actor: str | ColumnElement[str], message: str | ColumnElement[str]
) -> Select[Any]:
    """Insert a queued job for each row of `orders`, whose columns are named as the jobs'; their notices follow."""
    columns = orders.selected_columns
    queued = insert(Job).from_select([*columns.keys(), "state"], orders.add_columns(literal(QUEUED, Text)))
    return announce(_queued(queued), event="job.submitted", actor=actor, message=message, notify=False)


def _queued(inserting: Any) -> CTE:
    """Where the owner has used an idempotency key before, the job of then stays and no row comes back."""
    changed: CTE = (
        inserting.on_conflict_do_nothing(index_elements=[Job.owner_id, Job.idempotency_key])
        .returning(
            Job.id, Job.attempt, Job.version, Job.state, cast(null(), Text).label("from_state"), Job.submitted_at
        )
        .cte("changed")
    )
    return changed


@statement
def tell(notices: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """Notify of changes that were committed without it. A notice need not survive a crash, so no flush is awaited."""
    notice = func.unnest(cast(notices, ARRAY(Text))).column_valued("notice")
    return select(func.set_config("synchronous_commit", "off", True), func.pg_notify(JOBS, notice))


ESTIMATE_NAMES = ("estimate_state", "estimate_peak")
_ESTIMATE = (select(Estimate.state), select(Estimate.prediction["peak_device_bytes"]))
OWNER = User.name.label("owner")
OWNER_TEAM = User.team.label("owner_team")
SUMMARY = (
    *(Job.id, Job.experiment, Job.name, Job.tags, OWNER, Job.state, Job.cause, Job.message, Job.priority, Job.seed),
    *(Job.study_id, Job.attempt, Job.progress_fraction, Job.progress_message, Job.node, Job.gpu_uuids),
    *(Job.gpu_memory_bytes, Job.submitted_at, Job.started_at, Job.finished_at, Job.changed_at),
)
"""What a list shows of a job: nothing that grows with its spec or its result."""


@statement
def by_id(job_id: UUID) -> Select[*tuple[Any, ...]]:
    """Every column of the job, its owner's name as `owner` and their team as `owner_team`, what is predicted."""
    return select(*_whole_job()).join(User, User.id == Job.owner_id).where(Job.id == job_id)


@statement
def whole_page(owner_id: UUID, *, limit: int, before: UUID | None = None) -> Select[*tuple[Any, ...]]:
    """As `by_id`, of one owner's jobs, newest first."""
    found = select(*_whole_job()).join(User, User.id == Job.owner_id).where(Job.owner_id == owner_id)
    page = found.order_by(Job.id.desc()).limit(limit)
    return page if before is None else page.where(Job.id < before)


@statement
def standing(job_id: UUID) -> Select[*tuple[Any, ...]]:
    """Whose job it is, who else may read it, and in which state: what reading a part of it needs to know."""
    return (
        select(
            *(Job.id, Job.owner_id, Job.course_id, Job.experiment, Job.state, Job.wait_reason, Job.message),
            Job.shared_with,
            OWNER_TEAM,
        )
        .join(User, User.id == Job.owner_id)
        .where(Job.id == job_id)
    )


@statement
def by_idempotency_key(owner_id: UUID, key: str) -> Select[*tuple[Any, ...]]:
    return (
        select(*_whole_job())
        .join(User, User.id == Job.owner_id)
        .where(Job.owner_id == owner_id, Job.idempotency_key == key)
    )


def _whole_job() -> tuple[Any, ...]:
    own = Estimate.id == Job.estimate_id
    predicted = (
        column.where(own).correlate(Job).scalar_subquery().label(name)
        for column, name in zip(_ESTIMATE, ESTIMATE_NAMES, strict=True)
    )
    return (*Job.__table__.columns, OWNER, OWNER_TEAM, *predicted, _program(), _gpu_names())


def _gpu_names() -> Any:
    """What the driver calls the job's GPUs, in their order; without those that the lab has forgotten."""
    held = func.unnest(Job.gpu_uuids).table_valued("uuid", with_ordinality="place", name="held").render_derived()
    names = select(Gpu.name).join_from(held, Gpu, Gpu.uuid == held.c.uuid).order_by(held.c.place)
    return func.array(names.correlate(Job).scalar_subquery(), type_=ARRAY(Text)).label("gpu_names")


def _program() -> Any:
    """The job's program as a `ProgramBrief`, with what its owner said when they sent it; null where it has none."""
    sent = (ProgramUpload.sha256 == Program.sha256) & (ProgramUpload.user_id == Job.owner_id)
    columns: list[ColumnElement[Any]] = [Program.__table__.c[name] for name in ("sha256", "size_bytes", "file_count")]
    columns += [ProgramUpload.__table__.c[name] for name in ("name", "git_commit", "git_dirty")]
    pairs = [part for column in columns for part in (column.key, column)]
    found = select(func.jsonb_build_object(*pairs)).join_from(Program, ProgramUpload, sent, isouter=True)
    return found.where(Program.sha256 == Job.program_sha256).correlate(Job).scalar_subquery().label("program")


@statement
def events(job_id: UUID, *, after: int, limit: int) -> Select[JobEvent]:
    return select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.id > after).order_by(JobEvent.id).limit(limit)


@statement
def notices(
    after: int,
    *,
    limit: int,
    job_id: UUID | None = None,
    owner_id: UUID | None = None,
    taught: Sequence[UUID] | None = None,
) -> Select[*tuple[Any, ...]]:
    """What a stream missed: job, event and state, and the version now. Of one job, of all jobs, or of an owner's and
    those of the courses `taught`.
    """
    statement = (
        select(JobEvent.job_id, JobEvent.id.label("event_id"), JobEvent.to_state, Job.version)
        .join(Job, Job.id == JobEvent.job_id)
        .where(JobEvent.id > after)
    )
    if job_id is not None:
        statement = statement.where(JobEvent.job_id == job_id)
    if owner_id is not None:
        statement = statement.where(visible_to(Job, owner_id, taught))
    return statement.order_by(JobEvent.id).limit(limit)


@statement
def latest_event(job_id: UUID | None = None) -> Select[int]:
    """Id of the newest event, of one job or of all; 0 where there is none."""
    statement = select(func.coalesce(func.max(JobEvent.id), 0))
    return statement if job_id is None else statement.where(JobEvent.job_id == job_id)


@statement
def owners(job_ids: Any) -> Select[*tuple[Any, ...]]:
    return select(Job.id, Job.owner_id).where(Job.id == func.any(job_ids))


@statement
def visible_among(job_ids: Sequence[UUID], owner_id: UUID, taught: Sequence[UUID] | None) -> Select[UUID]:
    """Those that are the owner's, or of a course they teach."""
    return select(Job.id).where(Job.id == func.any(job_ids), visible_to(Job, owner_id, taught))


@statement
def unfinished() -> Select[*tuple[Any, ...]]:
    """How many jobs are in each state that is not final; final ones are too many to count."""
    return (
        select(Job.state, func.count().label("jobs"))
        .where(or_(Job.state == QUEUED, Job.state.in_([LEASED, RUNNING])))
        .group_by(Job.state)
    )


@statement
def versions(job_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    return select(Job.id, Job.version).where(Job.id == func.any(job_ids))


@statement
def waiting(job_id: UUID) -> Select[*tuple[Any, ...]]:
    """What a job asks for, what the scheduler last said of it, and how its prediction stands."""
    at_work = and_(Estimate.token.is_not(None), Estimate.expires_at > func.now())
    estimate = (Estimate.state.label("estimate_state"), case((at_work, Estimate.node)).label("estimate_node"))
    return (
        select(
            Job.wait_reason,
            Job.message,
            Job.priority,
            Job.gpus,
            Job.gpu_memory_bytes,
            Job.exclusive,
            Job.time_limit_seconds,
            Job.estimated_start_at,
            *estimate,
        )
        .outerjoin(Estimate, Estimate.id == Job.estimate_id)
        .where(Job.id == job_id, Job.state == QUEUED)
    )
