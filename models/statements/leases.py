"""The life of a lease: granted by the scheduler, claimed, renewed and finished by the worker, rescued when it expires.

A worker's statements are guarded by the token and by `released_at IS NULL`. No row back means: the lease is gone, stop.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Interval,
    Select,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate

from gpulab.states import FailureCause, JobState
from models.job import Job
from models.lease import Lease
from models.node import Node
from models.statements.transitions import announce, moved

Filled = tuple[Select[Any], Mapping[str, Any]]
"""A statement and its values, to be run as `connection.execute(*claim(...))`. It is composed the first time only: what
every job goes through costs more to compose than to run."""
LIVE = Lease.released_at.is_(None)


def grant(
    job_id: UUID,
    *,
    node: str,
    gpu_uuids: Sequence[str],
    reserved_bytes: int | None,
    lease_seconds: float,
    held_bytes: int | None = None,
    share: float = 0.0,
    remark: str = "",
) -> Filled:
    """Lease a queued job to a node. The row holds the `token`; no row: the job no longer waits. `remark` ends the words
    of its event.
    """
    return _grant(), {
        "leased_job": job_id,
        "to_node": node,
        "to_gpus": list(gpu_uuids),
        "to_device": "cuda" if gpu_uuids else "cpu",
        "reserved": reserved_bytes,
        "held": held_bytes,
        "of_lab": share,
        "lasts": timedelta(seconds=lease_seconds),
        "words": f"to node {node}{remark}",
    }


@cache
def _grant() -> Select[Any]:
    node, gpu_uuids = _given("to_node", Job.node), _given("to_gpus", Job.gpu_uuids)
    changed = moved(
        [JobState.LEASED],
        and_(Job.id == _given("leased_job", Job.id), Job.cancel_requested_at.is_(None)),
        values={
            "attempt": Job.attempt + 1,
            "node": node,
            "gpu_uuids": gpu_uuids,
            "device": _given("to_device", Job.device),
            "message": None,
            "wait_reason": None,
            "estimated_start_at": None,
        },
    )
    lease = (
        insert(Lease)
        .from_select(
            ["job_id", "attempt", "node", "gpu_uuids", "reserved_bytes", "held_bytes", "share", "expires_at"],
            select(
                changed.c.id,
                changed.c.attempt,
                node,
                gpu_uuids,
                _given("reserved", Lease.reserved_bytes),
                _given("held", Lease.held_bytes),
                _given("of_lab", Lease.share),
                _given_expiry(),
            ),
        )
        .returning(Lease.job_id, Lease.token)
        .cte("lease")
    )
    statement = announce(changed, event="job.leased", actor="scheduler", message=bindparam("words", type_=Text))
    return statement.add_columns(lease.c.token).join(lease, lease.c.job_id == changed.c.id)


def claim(job_id: UUID, token: UUID, *, actor: str, lease_seconds: float) -> Filled:
    """Take up a granted lease, once. The row holds what the run needs; no row: it is taken or gone."""
    lasts = timedelta(seconds=lease_seconds)
    return _claim(), {"leased_job": job_id, "of_token": token, "by": actor, "lasts": lasts}


@cache
def _claim() -> Select[Any]:
    claimed = (
        update(Lease)
        .where(
            Lease.job_id == _given("leased_job", Lease.job_id),
            Lease.token == _given("of_token", Lease.token),
            LIVE,
            Lease.claimed_at.is_(None),
        )
        .values(claimed_at=func.now(), expires_at=_given_expiry())
        .returning(Lease.job_id, Lease.node, Lease.gpu_uuids, Lease.reserved_bytes)
        .cte("claimed")
    )
    heard = (
        update(Node)
        .where(Node.name == claimed.c.node, Node.untaken_leases > 0)
        .values(untaken_leases=0)
        .returning(Node.name)
        .cte("heard")
    )
    changed = moved(
        [JobState.RUNNING],
        Job.id == claimed.c.job_id,
        values={
            "started_at": func.now(),
            "finished_at": None,
            "progress_fraction": None,
            "progress_message": None,
            "versions": None,
        },
        returning=[
            Job.experiment,
            Job.spec,
            Job.seed,
            Job.device,
            Job.time_limit_seconds,
            Job.cancel_requested_at,
            claimed.c.gpu_uuids,
            claimed.c.reserved_bytes,
        ],
    )
    return announce(changed, event="job.started", actor=bindparam("by", type_=Text), message="").add_cte(heard)


def renew(tokens: Sequence[UUID], *, lease_seconds: float) -> ReturningUpdate[UUID, datetime | None, datetime | None]:
    """Extend live leases; the tokens that do not come back are gone. With each, when its job was asked to end, and when
    to give way.
    """
    return (
        update(Lease)
        .where(Lease.token.in_(tokens), LIVE, Job.id == Lease.job_id)
        .values(expires_at=_expiry(lease_seconds))
        .returning(Lease.token, Job.cancel_requested_at, Lease.yield_requested_at)
    )


def finish(
    token: UUID,
    target: JobState,
    *,
    actor: str,
    message: str = "",
    cause: FailureCause | None = None,
    failure: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
) -> Filled:
    """Release the lease and move its job to a final state. No row: the lease was taken away, the verdict is void."""
    known = {} if failure is None else {"known": failure}
    return _finish(target, known=bool(known)), {
        "of_token": token,
        "by": actor,
        "words": message,
        "why": cause,
        "answer": result,
        **known,
    }


@cache
def _finish(target: JobState, *, known: bool) -> Select[Any]:
    """With `known`, what is known of a failure is kept as well."""
    words = bindparam("words", type_=Text)
    released = _release([Lease.token == _given("of_token", Lease.token)], outcome=literal(target.value, Text))
    changed = moved(
        [target],
        Job.id == released.c.job_id,
        values={
            "cause": _given("why", Job.cause),
            "message": func.nullif(words, ""),
            "result": _given("answer", Job.result),
            **({"failure": _given("known", Job.failure)} if known else {}),
        },
    )
    return announce(changed, event=f"job.{target}", actor=bindparam("by", type_=Text), message=words)


def requeue(token: UUID, *, actor: str, message: str, alone: bool = False) -> Select[Any]:
    """Give a lease back for another attempt that counts as none lost.

    With `alone`, the job, which shared a GPU, waits for a whole one; no row when it had one.
    """
    conditions = [Lease.token == token, *([Lease.reserved_bytes.is_not(None)] if alone else [])]
    return _given_back(conditions, actor=actor, message=message, values={"exclusive": True} if alone else {})


def take_back(*, actor: str, rung_seconds: float) -> Select[Any]:
    """Take away granted leases that no worker took up in time, or whose node has stopped. Nothing ran, so it counts as
    no lost attempt.

    Against its node counts one that expired and was granted after the one that counted before it was given up. It
    must lie within the last `rung_seconds`, in which every bell could be rung: where none can, no node hears any.
    """
    stopped = exists().where(Node.name == Lease.node, Node.stopped_at.is_not(None))
    conditions = [_untouched(Lease.claimed_at.is_(None), or_(expired(), stopped))]
    released = _release(conditions, outcome=literal("requeued", Text))
    unheard = (
        update(Node)
        .where(
            Node.name == released.c.node,
            Node.stopped_at.is_(None),
            released.c.granted_at > func.coalesce(Node.untaken_at, Node.started_at),
            released.c.granted_at > func.now() - timedelta(seconds=rung_seconds),
        )
        .values(untaken_leases=Node.untaken_leases + 1, untaken_at=func.now())
        .returning(Node.name)
        .cte("unheard")
    )
    back = _back_in_queue(released, actor=actor, message="its worker did not take it up", values={})
    return back.add_cte(unheard)


def lose(condition: ColumnElement[bool], *, max_lost_attempts: int, actor: str, message: str) -> Select[Any]:
    """Take matching live leases away, each from `from_node`. The jobs wait again, are cancelled if that was asked, or
    fail if lost often.
    """
    released = _release([condition], outcome=literal("lost", Text))
    cancelled = Job.cancel_requested_at.is_not(None)
    hopeless = Job.lost_attempts + 1 >= max_lost_attempts
    final_message = literal(f"lost {max_lost_attempts} times; last: {message}", Text)
    changed = moved(
        [JobState.QUEUED, JobState.FAILED, JobState.CANCELLED],
        Job.id == released.c.job_id,
        state=case(
            (cancelled, JobState.CANCELLED.value), (hopeless, JobState.FAILED.value), else_=JobState.QUEUED.value
        ),
        values={
            "cause": case((and_(hopeless, ~cancelled), FailureCause.LOST.value), else_=null()),
            "message": case((and_(hopeless, ~cancelled), final_message), else_=null()),
            "finished_at": case((cancelled | hopeless, func.now()), else_=null()),
            "lost_attempts": Job.lost_attempts + 1,
            "node": None,
            "gpu_uuids": [],
        },
        returning=[released.c.node.label("from_node")],
    )
    return announce(changed, event="job.lost", actor=actor, message=message)


def expired() -> ColumnElement[bool]:
    """Leases whose worker was not heard of in time."""
    return Lease.expires_at < func.now()


def abandoned() -> ColumnElement[bool]:
    """For `lose`: attempts that were under way and whose worker was not heard of in time.

    One that somebody is writing to is left for the next look: a worker frozen in the middle must not hold up the rest.
    """
    return _untouched(expired(), Lease.claimed_at.is_not(None))


def of_token(token: UUID) -> ColumnElement[bool]:
    """For `lose`: one attempt whose process was killed from outside."""
    return Lease.token == token


def silent(ring_again_seconds: float) -> ReturningUpdate[UUID, UUID, str]:
    """Granted leases that nobody has claimed for a while: ring their bells again."""
    return (
        update(Lease)
        .where(LIVE, Lease.claimed_at.is_(None), Lease.rung_at < func.now() - timedelta(seconds=ring_again_seconds))
        .values(rung_at=func.now())
        .returning(Lease.job_id, Lease.token, Lease.node)
    )


def live() -> Select[Lease]:
    """Every live lease: what is taken of the lab's capacity."""
    return select(Lease).where(LIVE)


def claimed_on(node: str) -> Select[UUID, UUID, int]:
    """Job, token and attempt of what a node holds: after a restart, leftovers of the worker before."""
    return select(Lease.job_id, Lease.token, Lease.attempt).where(
        LIVE, Lease.node == node, Lease.claimed_at.is_not(None)
    )


def attempts(job_id: UUID) -> Select[int, bool]:
    """Each attempt of a job, and whether another job held a lease on one of its GPUs at the same time."""
    other = aliased(Lease)
    until, other_until = (func.coalesce(lease.released_at, func.now()) for lease in (Lease, other))
    beside = exists().where(
        other.job_id != Lease.job_id,
        other.gpu_uuids.overlap(Lease.gpu_uuids),
        other.granted_at < until,
        other_until > Lease.granted_at,
    )
    return select(Lease.attempt, beside.label("shared")).where(Lease.job_id == job_id).order_by(Lease.attempt)


def _given_back(
    conditions: Sequence[ColumnElement[bool]], *, actor: str, message: str, values: dict[str, Any]
) -> Select[Any]:
    """End matching live leases; their jobs wait again, or are cancelled if that was asked."""
    released = _release(conditions, outcome=literal("requeued", Text))
    return _back_in_queue(released, actor=actor, message=message, values=values)


def _back_in_queue(released: Any, *, actor: str, message: str, values: dict[str, Any]) -> Select[Any]:
    cancelled = Job.cancel_requested_at.is_not(None)
    changed = moved(
        [JobState.QUEUED, JobState.CANCELLED],
        Job.id == released.c.job_id,
        state=case((cancelled, JobState.CANCELLED.value), else_=JobState.QUEUED.value),
        values={
            "finished_at": case((cancelled, func.now()), else_=null()),
            "node": None,
            "gpu_uuids": [],
            **values,
        },
        returning=[released.c.node.label("from_node")],
    )
    return announce(changed, event="job.requeued", actor=actor, message=message)


def _release(conditions: Sequence[ColumnElement[bool]], *, outcome: ColumnElement[str]) -> Any:
    return (
        update(Lease)
        .where(LIVE, *conditions)
        .values(released_at=func.now(), outcome=outcome)
        .returning(Lease.job_id, Lease.node, Lease.granted_at)
        .cte("released")
    )


def _untouched(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Live leases of that kind whose rows no other transaction has locked."""
    found = select(Lease.token).where(LIVE, *conditions).with_for_update(of=Lease, skip_locked=True)
    return Lease.token.in_(found.correlate(None))


def _expiry(lease_seconds: float) -> ColumnElement[Any]:
    return func.now() + timedelta(seconds=lease_seconds)


def _given_expiry() -> ColumnElement[Any]:
    return func.now() + bindparam("lasts", type_=Interval)


def _given(name: str, column: Any) -> BindParameter[Any]:
    """A value of a `Filled` statement, of the type of the column that it is for or compared with."""
    return bindparam(name, type_=column.type)
