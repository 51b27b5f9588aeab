"""The life of a lease: granted by the scheduler, claimed, renewed and finished by the worker, rescued when it expires.

A worker's statements are guarded by the lease's token and by `released_at IS NULL`. No row means: the lease is gone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate

from gpulab.states import FailureCause, JobState
from models.composed import statement
from models.statements.transitions import announce, moved
from models.tables.job import Job
from models.tables.lease import Lease
from models.tables.node import Node
from models.times import ago, from_now

LIVE = Lease.released_at.is_(None)


@statement
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
) -> Select[Any]:
    """Lease a queued job to a node. The row holds the lease's `token`; no row: the job no longer waits.

    `remark` ends the message of its event.
    """
    to_gpus, to_node = type_coerce(gpu_uuids, Job.gpu_uuids.type), type_coerce(node, Text)
    message = literal("to node ", Text).concat(to_node).concat(type_coerce(remark, Text))
    changed = moved(
        [JobState.LEASED],
        and_(Job.id == job_id, Job.cancel_requested_at.is_(None)),
        values={
            "attempt": Job.attempt + 1,
            "node": to_node,
            "gpu_uuids": to_gpus,
            "device": case((func.cardinality(to_gpus) > 0, "cuda"), else_="cpu"),
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
                to_node,
                to_gpus,
                type_coerce(reserved_bytes, Lease.reserved_bytes.type),
                type_coerce(held_bytes, Lease.held_bytes.type),
                type_coerce(share, Lease.share.type),
                from_now(lease_seconds),
            ),
        )
        .returning(Lease.job_id, Lease.token)
        .cte("lease")
    )
    granted = announce(changed, event="job.leased", actor="scheduler", message=message)
    return granted.add_columns(lease.c.token).join(lease, lease.c.job_id == changed.c.id)


@statement
def claim(job_id: UUID, lease_token: UUID, *, actor: str, lease_seconds: float) -> Select[Any]:
    """Take up a granted lease, once. The row holds what the run needs; no row: it is taken or gone."""
    claimed = (
        update(Lease)
        .where(
            Lease.job_id == job_id,
            Lease.token == lease_token,
            LIVE,
            Lease.claimed_at.is_(None),
        )
        .values(claimed_at=func.now(), expires_at=from_now(lease_seconds))
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
    return announce(changed, event="job.started", actor=actor, message="").add_cte(heard)


@statement
def renew(
    lease_tokens: Sequence[UUID], *, lease_seconds: float
) -> ReturningUpdate[UUID, datetime | None, datetime | None]:
    """Extend live leases; the tokens that do not come back are gone. With each, when its job was asked to end, and when
    to give way.
    """
    return (
        update(Lease)
        .where(Lease.token == func.any(lease_tokens), LIVE, Job.id == Lease.job_id)
        .values(expires_at=from_now(lease_seconds))
        .returning(Lease.token, Job.cancel_requested_at, Lease.yield_requested_at)
    )


@statement(shape=("target",))
def finish(
    lease_token: UUID,
    target: JobState,
    *,
    actor: str,
    message: str = "",
    cause: FailureCause | None = None,
    failure: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
) -> Select[Any]:
    """Release the lease and move its job to a final state. No row: the lease was taken away, the verdict is void."""
    released = _release([Lease.token == lease_token], outcome=literal(target.value, Text))
    changed = moved(
        [target],
        Job.id == released.c.job_id,
        values={
            "cause": cause,
            "message": func.nullif(message, ""),
            "result": null() if result is None else result,
            **({} if failure is None else {"failure": failure}),
        },
    )
    return announce(changed, event=f"job.{target}", actor=actor, message=message)


@statement(shape=("alone",))
def requeue(lease_token: UUID, *, actor: str, message: str, alone: bool = False) -> Select[Any]:
    """Give a lease back for another attempt that counts as none lost.

    With `alone`, the job, which shared a GPU, waits for a whole one; no row when it had one.
    """
    conditions = [Lease.token == lease_token, *([Lease.reserved_bytes.is_not(None)] if alone else [])]
    return _given_back(conditions, actor=actor, message=message, values={"exclusive": True} if alone else {})


@statement
def requeue_untaken(*, actor: str, rung_seconds: float) -> Select[Any]:
    """Take away granted leases that no worker took up in time, or whose node has stopped. Nothing ran, so it counts as
    no lost attempt.

    Against its node counts one that expired and was granted after the one that counted before it was given up. It
    must lie within the last `rung_seconds`, in which every bell could be rung: where none can, no node hears any.
    """
    stopped = exists().where(Node.name == Lease.node, Node.stopped_at.is_not(None))
    conditions = [_untouched(Lease.claimed_at.is_(None), or_(_expired(), stopped))]
    released = _release(conditions, outcome=literal("requeued", Text))
    unheard = (
        update(Node)
        .where(
            Node.name == released.c.node,
            Node.stopped_at.is_(None),
            released.c.granted_at > func.coalesce(Node.untaken_at, Node.started_at),
            released.c.granted_at > ago(rung_seconds),
        )
        .values(untaken_leases=Node.untaken_leases + 1, untaken_at=func.now())
        .returning(Node.name)
        .cte("unheard")
    )
    back = _back_in_queue(released, actor=actor, message="its worker did not take it up", values={})
    return back.add_cte(unheard)


@statement(shape=("max_lost_attempts",))
def lose(lease_token: UUID, *, max_lost_attempts: int, actor: str, message: str) -> Select[Any]:
    """Take away the lease of an attempt whose process was killed from outside. The job waits again, is cancelled if
    that was asked, or fails if it was lost often.
    """
    return _lost(Lease.token == lease_token, max_lost_attempts, actor, message)


@statement(shape=("max_lost_attempts",))
def lose_abandoned(*, max_lost_attempts: int, actor: str, message: str) -> Select[Any]:
    """As `lose`, of attempts that were under way and whose worker was not heard of in time, each with its `from_node`.

    A lease that another transaction writes is left for the next round: a frozen worker must not delay the rest.
    """
    return _lost(_untouched(_expired(), Lease.claimed_at.is_not(None)), max_lost_attempts, actor, message)


def _lost(condition: ColumnElement[bool], max_lost_attempts: int, actor: str, message: str) -> Select[Any]:
    released = _release([condition], outcome=literal("lost", Text))
    cancelled = Job.cancel_requested_at.is_not(None)
    hopeless = Job.lost_attempts + 1 >= max_lost_attempts
    final_message = literal(f"lost {max_lost_attempts} times; the last reason: ", Text).concat(message)
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


@statement
def end_future(lease_seconds: float) -> Any:
    """Live leases that were renewed while the clock was ahead last as long as one renewed now."""
    return (
        update(Lease).where(LIVE, Lease.expires_at > from_now(lease_seconds)).values(expires_at=from_now(lease_seconds))
    )


def _expired() -> ColumnElement[bool]:
    """Leases whose worker was not heard of in time."""
    return Lease.expires_at < func.now()


@statement
def silent(ring_again_seconds: float) -> ReturningUpdate[UUID, UUID, str]:
    """Granted leases that were not claimed for a while: notify their workers again."""
    return (
        update(Lease)
        .where(LIVE, Lease.claimed_at.is_(None), Lease.rung_at < ago(ring_again_seconds))
        .values(rung_at=func.now())
        .returning(Lease.job_id, Lease.token, Lease.node)
    )


@statement
def live() -> Select[Lease]:
    """Every live lease: what is taken of the lab's capacity."""
    return select(Lease).where(LIVE)


@statement
def claimed_on(node: str) -> Select[UUID, UUID, int]:
    """Job, token and attempt of what a node holds: after a restart, leftovers of the worker before."""
    return select(Lease.job_id, Lease.token, Lease.attempt).where(
        LIVE, Lease.node == node, Lease.claimed_at.is_not(None)
    )


@statement
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
