"""What the machines say of themselves, and what the scheduler reads of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, Update, and_, case, func, literal, null, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from models.composed import statement
from models.statements.transitions import text_of
from models.tables.node import Gpu, Node, NodeEvent
from models.times import ago

RECONNECTS_KEPT = 20
NO_FAULT = dict.fromkeys(("unhealthy_at", "xid", "xid_at", "contested_by", "contested_at"))
GONE = {**NO_FAULT, "healthy": False, "reason": None, "gone_at": func.now()}
"""Of a GPU that is no part of its node any more."""


@statement
def admit(name: str, worker_id: str, *, silence_seconds: float) -> ReturningInsert[str]:
    """A worker asks for a node's name. No row: another one has it, and was heard of within `silence_seconds`.

    The node is not there before it joins. An outage of the database does not count as silence of a node.
    """
    row = {"name": name, "worker_id": worker_id, "slots": 0, "datasets": [], "versions": {}}
    statement = insert(Node).values(**row, started_at=func.now(), stopped_at=func.now())
    heard_at = func.greatest(Node.heartbeat_at, func.pg_postmaster_start_time())
    return statement.on_conflict_do_update(
        index_elements=[Node.name],
        set_={"worker_id": worker_id},
        where=or_(
            Node.worker_id == worker_id,
            Node.stopped_at.is_not(None),
            heard_at < ago(silence_seconds),
        ),
    ).returning(Node.name)


@statement
def holder(name: str) -> Select[str | None, datetime]:
    """The worker that has a node's name, and when it was heard of."""
    return select(Node.worker_id, Node.heartbeat_at).where(Node.name == name)


@statement(anew=True)
def join(values: Mapping[str, Any]) -> ReturningInsert[str]:
    """A worker starts: its node's description replaces the one before. A drain ordered by staff stays.

    A node that comes without having left is noted as one that reconnected. No row: the node has another worker now.
    """
    statement = insert(Node).values(**values, started_at=func.now(), heartbeat_at=func.now(), stopped_at=None)
    changes = {name: statement.excluded[name] for name in values if name != "name"}
    return statement.on_conflict_do_update(
        index_elements=[Node.name],
        set_={
            **changes,
            "started_at": func.now(),
            "heartbeat_at": func.now(),
            "stopped_at": None,
            "removed_at": None,
            "untaken_leases": 0,
            "reconnects": case((Node.stopped_at.is_(None), _one_reconnect_more()), else_=Node.reconnects),
        },
        where=_served_by(values.get("worker_id")),
    ).returning(Node.name)


@statement
def beat(
    name: str,
    *,
    silence_seconds: float,
    clock: datetime | None = None,
    worker_id: str | None = None,
    **values: Any,
) -> ReturningUpdate[str]:
    """The node lives; `values` are what changed of its description, `clock` is its own time.

    One that was silent for longer than `silence_seconds` reconnects by this, unless the database itself was away.
    No row: the node has another worker now.
    """
    silent = and_(
        Node.stopped_at.is_(None),
        Node.heartbeat_at < ago(silence_seconds),
        Node.heartbeat_at > func.pg_postmaster_start_time(),
    )
    skew: ColumnElement[Any] = func.extract("epoch", clock - func.clock_timestamp()) if clock is not None else null()
    return (
        update(Node)
        .where(Node.name == name, _served_by(worker_id))
        .values(
            heartbeat_at=func.now(),
            # One that was removed while it was cut off is on the list again.
            stopped_at=case((Node.removed_at.is_(None), Node.stopped_at), else_=null()),
            removed_at=None,
            clock_skew_seconds=skew,
            reconnects=case((silent, _one_reconnect_more()), else_=Node.reconnects),
            **values,
        )
        .returning(Node.name)
    )


@statement
def leave(name: str, worker_id: str | None = None) -> Update:
    return update(Node).where(Node.name == name, _served_by(worker_id)).values(stopped_at=func.now())


@statement(anew=True)
def keep_gpus(rows: Sequence[Mapping[str, Any]], *, silence_seconds: float) -> ReturningInsert[Any]:
    """Write down what a node has; the UUIDs that come back are its own.

    One that is missing belongs to another node, which listed it no longer than `silence_seconds` ago.
    """
    statement = insert(Gpu).values(
        [{**row, "known_total_bytes": row["memory_total_bytes"], "seen_at": func.now()} for row in rows]
    )
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[Gpu.uuid],
        set_={
            **{name: new[name] for name in (*rows[0], "seen_at") if name != "uuid"},
            "known_total_bytes": case(
                (Gpu.gone_at.is_(None), func.coalesce(Gpu.known_total_bytes, new.known_total_bytes)),
                else_=new.known_total_bytes,
            ),
            "unhealthy_at": case((new.healthy, null()), (Gpu.healthy, func.now()), else_=Gpu.unhealthy_at),
            "gone_at": case((new.healthy, null()), else_=Gpu.gone_at),
        },
        where=or_(
            Gpu.node == new.node,
            Gpu.gone_at.is_not(None),
            Gpu.seen_at.is_(None),
            Gpu.seen_at < ago(silence_seconds),
        ),
    ).returning(Gpu.uuid)


@statement
def gpus_of(node: str) -> Select[*tuple[Any, ...]]:
    """The GPUs that a node had, as its worker last described them."""
    return select(*Gpu.__table__.c).where(Gpu.node == node, Gpu.gone_at.is_(None)).order_by(Gpu.index, Gpu.uuid)


@statement
def let_go(uuids: Sequence[str]) -> Update:
    """These GPUs are no part of their node any more, by the way it is set up."""
    return update(Gpu).where(Gpu.uuid == func.any(uuids), Gpu.gone_at.is_(None)).values(GONE)


@statement
def miss(uuids: Sequence[str], reason: str) -> Update:
    """A worker did not find these GPUs when it started. That is no fault of the node: it goes on with the others."""
    return update(Gpu).where(Gpu.uuid == func.any(uuids)).values({**NO_FAULT, "healthy": False, "reason": reason})


@statement
def note_event(node: str, kind: str, message: str) -> ReturningInsert[int]:
    """What its worker says for its history."""
    actor = literal("node:", Text).concat(text_of(node))
    row = {"node": node, "type": kind, "actor": actor, "message": message}
    return insert(NodeEvent).values(row).returning(NodeEvent.id)


@statement
def constants(name: str, software: str) -> Select[dict[str, Any] | None]:
    """What any node measured of a GPU model under a driver, CUDA version and torch. No row: none did."""
    return (
        select(Gpu.constants)
        .where(Gpu.name == name, Gpu.constants_of == software, Gpu.constants.is_not(None))
        .order_by(Gpu.uuid)
        .limit(1)
    )


@statement
def contest_gpus(node: str, uuids: Sequence[str]) -> Update:
    """`node` reports GPUs that another live node has."""
    return update(Gpu).where(Gpu.uuid == func.any(uuids)).values(contested_by=node, contested_at=func.now())


@statement
def note_fault(uuid: str, reason: str) -> Update:
    """A GPU is broken: nothing starts there until its node calls it well again."""
    broken_since = func.coalesce(Gpu.unhealthy_at, func.now())
    return update(Gpu).where(Gpu.uuid == uuid).values(healthy=False, reason=reason, unhealthy_at=broken_since)


@statement
def note_xid(uuids: Sequence[str], xid: int) -> Update:
    return update(Gpu).where(Gpu.uuid == func.any(uuids)).values(xid=xid, xid_at=func.now())


@statement
def alive(silence_seconds: float) -> Select[*tuple[Any, ...]]:
    """Nodes heard of lately and not stopped. Draining ones are among them, so that they can be named."""
    return select(*Node.__table__.c).where(Node.stopped_at.is_(None), Node.heartbeat_at > ago(silence_seconds))


@statement
def every() -> Select[Node]:
    return select(Node).order_by(Node.name)


@statement
def gpu_names() -> Select[str, str]:
    """UUID and name of each GPU that any node ever had."""
    return select(Gpu.uuid, Gpu.name)


@statement
def gpus() -> Select[*tuple[Any, ...]]:
    return select(*Gpu.__table__.c).where(Gpu.gone_at.is_(None)).order_by(Gpu.node, Gpu.index)


@statement
def overview(silence_seconds: float) -> Select[*tuple[Any, ...]]:
    """Every node, and whether it is `down`: stopped, or not heard of lately by the clock of the database."""
    down = is_down(silence_seconds).label("down")
    return select(*Node.__table__.columns, down).where(Node.removed_at.is_(None)).order_by(Node.name)


def is_down(silence_seconds: float) -> ColumnElement[bool]:
    """Stopped, or silent for that long."""
    return or_(Node.stopped_at.is_not(None), Node.heartbeat_at <= ago(silence_seconds))


def _served_by(worker_id: str | None) -> ColumnElement[bool]:
    return true() if worker_id is None else Node.worker_id == worker_id


def _one_reconnect_more() -> ColumnElement[Any]:
    kind = Node.reconnects.type
    found: ColumnElement[Any] = func.array_prepend(func.now(), Node.reconnects, type_=kind)[1:RECONNECTS_KEPT]
    return found
