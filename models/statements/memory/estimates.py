"""The life of an estimate: asked, rung for, taken up by one worker at a time, answered.

As with jobs, the row is the truth. A worker's statements are guarded by its token: no row back means that another one
took over. If a question is not answered in time, workers are notified again, `MAX_ATTEMPTS` times.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Text,
    Update,
    and_,
    case,
    cast,
    column,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.sql.dml import ReturningUpdate

from gpulab.schemas.memory import Verdict
from gpulab.states import FailureCause, JobState
from models.channels import ESTIMATES
from models.composed import statement
from models.statements.memory.estimate_turns import MAX_ATTEMPTS, datasets_of, is_waiting, next_like
from models.tables.estimate import FAILED, PENDING, PROGRAM, READY, Estimate
from models.tables.job import Job
from models.tables.node import Gpu, Node
from models.times import ago, from_now

FAILED_ANEW_SECONDS = 60.0
"""A failed question is computed again if it is asked after this time: the obstacle may be gone."""
QUESTION = ("id", "owner_id", "family", "software", "workload", "editable", "wanted")
"""The columns of a question."""


@statement
def ask(questions: Any) -> Select[Any]:
    """Store questions, as for `ask_all`, or add GPUs to them, and notify the scheduler. No row: nothing was new."""
    return _with_notices(_asked(_putting(questions)).returning(Estimate.id, Estimate.state))


def ask_quietly(questions: Any) -> Any:
    """Put those of many, given as `ask_all` takes them, that are new; locks no existing row."""
    return _putting(questions).on_conflict_do_nothing().returning(Estimate.id)


@statement
def want(estimate_id: UUID, gpus: dict[str, Any]) -> Update:
    """Add GPUs to a question that has an answer."""
    return (
        update(Estimate)
        .where(Estimate.id == estimate_id, Estimate.state == READY)
        .values(
            {
                "wanted": Estimate.wanted.op("||", return_type=JSONB)(cast(gpus, JSONB)),
                "state": PENDING,
                "attempts": 0,
                "rung_at": None,
            }
        )
    )


@statement
def ask_all(questions: Any) -> Any:
    """Put many, given as a JSON list of objects with the columns of `QUESTION`, in silence."""
    return _asked(_putting(questions))


def _putting(questions: Any) -> Any:
    table = (
        func.jsonb_to_recordset(cast(questions, JSONB))
        .table_valued(*(column(name, Estimate.__table__.c[name].type) for name in QUESTION), name="question")
        .render_derived(with_types=True)
    )
    # In one order, so that two who put the same questions never wait for each other.
    rows = select(*(table.c[name] for name in QUESTION)).order_by(table.c.id)
    return insert(Estimate).from_select(list(QUESTION), rows)


def _asked(putting: Any) -> Any:
    given = putting.excluded
    wanted = Estimate.wanted.op("||", return_type=JSONB)(given.wanted)
    old = Estimate.finished_at < ago(FAILED_ANEW_SECONDS)
    failed = Estimate.state == FAILED
    refused = and_(Estimate.state == READY, Estimate.family == PROGRAM, given.wanted.has_any(_refused_gpus()))
    return putting.on_conflict_do_update(
        index_elements=[Estimate.id],
        set_={
            "wanted": wanted,
            "state": PENDING,
            "fits": case((or_(failed, and_(refused, old)), _without_refused()), else_=Estimate.fits),
            "reason": None,
            "owner_id": case((Estimate.state == PENDING, Estimate.owner_id), else_=given.owner_id),
            "attempts": 0,
            "asked_at": func.now(),
            "rung_at": case((Estimate.state == PENDING, Estimate.rung_at), else_=None),
        },
        where=case((failed, old), else_=or_(~Estimate.wanted.contains(given.wanted), and_(refused, old))),
    )


def _refused_gpus() -> Any:
    """The keys of the GPUs for which nothing was predicted, as an array."""
    fit = func.jsonb_each(Estimate.fits).table_valued("key", column("value", JSONB), name="fit")
    keys = select(func.array_agg(fit.c.key)).where(fit.c.value["verdict"].astext == Verdict.NOT_PREDICTED)
    return func.coalesce(keys.correlate(Estimate).scalar_subquery(), cast([], ARRAY(Text)))


def _without_refused() -> Any:
    return Estimate.fits.op("-", return_type=JSONB)(_refused_gpus())


@statement
def by_id(estimate_id: UUID) -> Select[Estimate]:
    return select(Estimate.__table__).where(Estimate.id == estimate_id)


@statement
def hardware(silence_seconds: float) -> Select[*tuple[Any, ...]]:
    """Every node's versions, whether it is heard of, and each of its GPUs' name, memory and measured constants, and
    whether it is gone; one row a GPU or node."""
    heard = and_(Node.stopped_at.is_(None), Node.heartbeat_at > ago(silence_seconds))
    gone = Gpu.gone_at.is_not(None).label("gone")
    return (
        select(Node.versions, heard.label("heard"), gone, Gpu.name, Gpu.memory_total_bytes, Gpu.constants)
        .select_from(Node)
        .outerjoin(Gpu, Gpu.node == Node.name)
        .order_by(Gpu.name, Gpu.uuid)
    )


@statement
def due(ring_again_seconds: float) -> ReturningUpdate[*tuple[Any, ...]]:
    """Questions without a worker and without a recent notice; marks them as notified."""
    return (
        update(Estimate)
        .where(
            is_waiting(Estimate),
            or_(
                Estimate.rung_at.is_(None),
                Estimate.rung_at < ago(ring_again_seconds),
            ),
        )
        .values(rung_at=func.now())
        .returning(
            Estimate.id,
            Estimate.software,
            Estimate.family,
            Estimate.workload["experiment"].astext.label("experiment"),
            datasets_of(Estimate).label("datasets"),
        )
    )


@statement
def refuse(estimate_id: UUID, reason: str) -> Select[Any]:
    """Fail a question that no node can take up."""
    return _with_notices(_end(and_(Estimate.id == estimate_id, is_waiting(Estimate)), reason))


@statement
def give_up() -> Select[Any]:
    """Fail what was taken up `MAX_ATTEMPTS` times and never answered."""
    lost = and_(Estimate.state == PENDING, Estimate.attempts >= MAX_ATTEMPTS, Estimate.expires_at < func.now())
    return _with_notices(_end(lost, f"{MAX_ATTEMPTS} workers were lost while predicting it"))


@statement
def claim(estimate_id: UUID, *, node: str, lease_seconds: float) -> ReturningUpdate[Any]:
    """Take up the question that is next, for the same software as the one that the worker was rung for.

    No row: none waits.
    """
    return (
        update(Estimate)
        .where(Estimate.id == next_like(estimate_id, node).scalar_subquery())
        .values(
            token=func.gen_random_uuid(),
            node=node,
            expires_at=from_now(lease_seconds),
            claimed_at=func.now(),
            attempts=Estimate.attempts + 1,
        )
        .returning(
            Estimate.id,
            Estimate.token,
            Estimate.workload,
            Estimate.editable,
            Estimate.wanted,
            Estimate.fits,
            Estimate.prediction,
        )
    )


@statement
def renew(estimate_id: UUID, token: UUID, *, lease_seconds: float) -> ReturningUpdate[UUID]:
    return _held(estimate_id, token).values(expires_at=from_now(lease_seconds)).returning(Estimate.id)


@statement
def release(estimate_id: UUID, token: UUID) -> Update:
    """The worker leaves: the next one may take the question up at once, and this attempt does not count."""
    return _held(estimate_id, token).values(expires_at=None, token=None, rung_at=None, attempts=Estimate.attempts - 1)


@statement
def abandoned(node: str) -> Update:
    """A worker starts: what the one before it held on this node is free again."""
    return (
        update(Estimate)
        .where(Estimate.state == PENDING, Estimate.node == node, Estimate.token.is_not(None))
        .values(expires_at=func.now(), token=None, rung_at=None)
    )


@statement(anew=True)
def answer(estimate_id: UUID, token: UUID, *, prediction: dict[str, Any] | None, fits: dict[str, Any]) -> Select[Any]:
    """Write the verdicts so far and the prediction, null where the one that is there stands, and notify.

    GPUs without a verdict keep the question pending: it waits for its next turn.
    """
    missing = Estimate.wanted.op("-", return_type=JSONB)(literal(list(fits), ARRAY(Text)))
    whole = missing == cast({}, JSONB)
    return _with_notices(
        _held(estimate_id, token)
        .values(
            ({} if prediction is None else {"prediction": prediction})
            | {
                "fits": fits,
                "state": case((whole, READY), else_=PENDING),
                "finished_at": func.now(),
                "token": None,
                "expires_at": None,
                "rung_at": None,
                "attempts": 0,
            }
        )
        .returning(Estimate.id, Estimate.state)
    )


@statement
def fail(estimate_id: UUID, token: UUID, reason: str) -> Select[Any]:
    """The question has no answer."""
    return _with_notices(_end(_holds(estimate_id, token), reason))


def _end(condition: ColumnElement[bool], reason: str) -> Any:
    return (
        update(Estimate)
        .where(condition)
        .values({"state": FAILED, "reason": reason, "finished_at": func.now(), "token": None, "expires_at": None})
        .returning(Estimate.id, Estimate.state)
    )


def _held(estimate_id: UUID, token: UUID) -> Update:
    return update(Estimate).where(_holds(estimate_id, token))


def _holds(estimate_id: UUID, token: UUID) -> ColumnElement[bool]:
    return and_(Estimate.id == estimate_id, Estimate.token == token, Estimate.state == PENDING)


def _with_notices(change: Any) -> Select[Any]:
    changed = change.cte("changed")
    return select(changed.c.id, func.pg_notify(ESTIMATES, func.concat_ws(" ", changed.c.id, changed.c.state)))


@statement
def last_sign() -> Select[*tuple[Any]]:
    """When the lab last showed that it works at questions, in Unix seconds: now where a worker is at any; else when the
    last one ended, or when the youngest node came, whose worker has yet to warm up.
    """
    at_work = and_(Estimate.token.is_not(None), Estimate.expires_at > func.now())
    worked = select(func.max(case((at_work, func.now()), else_=Estimate.finished_at))).scalar_subquery()
    came = select(func.max(Node.started_at)).where(Node.stopped_at.is_(None)).scalar_subquery()
    return select(cast(func.extract("epoch", func.greatest(worked, came)), Float(53)))


@statement
def known(estimate_ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """What placing a job needs of its estimate."""
    disproved = exists().where(
        Estimate.family == PROGRAM,
        Job.program_sha256 == Estimate.workload["spec"]["program"].astext,
        Job.estimate_id == Estimate.id,
        Job.state == JobState.FAILED,
        Job.cause == FailureCause.OUT_OF_MEMORY,
    )
    return select(
        Estimate.id,
        Estimate.state,
        Estimate.family,
        Estimate.prediction["peak_device_bytes"].label("peak_device_bytes"),
        Estimate.fits,
        Estimate.reason,
        disproved.label("disproved"),
    ).where(Estimate.id == func.any(estimate_ids))
