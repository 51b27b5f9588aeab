"""Setting nodes aside and taking them back; each change is one guarded statement with its event."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    Update,
    and_,
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

from gpulab.states import NodeFault
from models.composed import statement
from models.statements.nodes import GONE, NO_FAULT, alive, is_down
from models.statements.notifications import outbox
from models.statements.transitions import text_of
from models.tables.lease import Lease
from models.tables.node import Gpu, Node, NodeEvent, NodeToken
from models.times import from_now

SET_ASIDE = "node.set_aside"
REFUSED = "node.refused"
IN_ORDER: Mapping[str, Any] = {
    **dict.fromkeys(("reason", "fault", "fault_message", "fault_at", "fault_until")),
    "draining": False,
    "reconnects": [],
    "untaken_leases": 0,
}
"""Of a node of which nothing is wrong."""
MIN_CHANGE = 0.05
"""Of a GPU's memory, to count as another than it had: what the driver keeps for itself differs by its version."""


@statement
def reports(silence_seconds: float) -> Select[*tuple[Any, ...]]:
    """Every live node with what judging it needs; `now` is the database's, `set_asides` those of one day."""
    since = func.greatest(func.now() - timedelta(days=1), Node.cleared_at)
    set_asides = (
        select(func.count())
        .where(
            NodeEvent.node == Node.name,
            NodeEvent.type == SET_ASIDE,
            NodeEvent.at > since,
        )
        .scalar_subquery()
    )
    admitted = select(NodeToken.id).where(NodeToken.id == Node.token_id, NodeToken.revoked_at.is_(None)).exists()
    found: Select[*tuple[Any, ...]] = alive(silence_seconds).with_only_columns(
        *Node.__table__.columns,
        set_asides.label("set_asides"),
        admitted.label("admitted"),
        func.now().label("now"),
    )
    return found


@statement
def suspicious_gpus() -> Select[*tuple[Any, ...]]:
    """The GPUs of which anything was ever wrong: a few, or none."""
    return select(*Gpu.__table__.columns).where(
        Gpu.gone_at.is_(None),
        or_(
            Gpu.unhealthy_at.is_not(None),
            Gpu.xid_at.is_not(None),
            Gpu.contested_at.is_not(None),
            func.abs(Gpu.memory_total_bytes - Gpu.known_total_bytes) > MIN_CHANGE * Gpu.known_total_bytes,
        ),
    )


@statement
def mark_missing(silence_seconds: float) -> Update:
    """GPUs that the last heartbeat of their live node did not list are out of order."""
    live = alive(silence_seconds).with_only_columns(Node.name, Node.heartbeat_at).subquery()
    return (
        update(Gpu)
        .where(Gpu.node == live.c.name, Gpu.healthy, Gpu.seen_at < live.c.heartbeat_at)
        .values(healthy=False, reason="the driver no longer lists it", unhealthy_at=func.now())
    )


@statement(shape=("fault",))
def set_aside(name: str, fault: NodeFault, message: str, *, until: datetime | None) -> Select[Any]:
    """Start no further job on the node. `until` is null when only an admin takes it back."""
    changed = _changed(
        update(Node)
        .where(Node.name == name, Node.fault.is_(None))
        .values(fault=fault.value, fault_message=message, fault_at=func.now(), fault_until=until),
        Node.fault_until,
    )
    kind = REFUSED if fault is NodeFault.NO_TOKEN else SET_ASIDE
    announced = _announced(changed, kind, "scheduler", literal(f"{fault}: ", Text).concat(message))
    return announced.add_cte(outbox.of_node(changed, changed.c.fault_until))


@statement(shape=("fault",))
def still_at_fault(name: str, fault: NodeFault, message: str, *, until: datetime) -> Update:
    """The fault was seen again."""
    return (
        update(Node)
        .where(Node.name == name, Node.fault.is_not(None))
        .values(
            fault=fault.value,
            fault_message=message,
            fault_until=case((Node.fault_until.is_(None), null()), else_=until),
        )
    )


@statement
def bring_back(name: str) -> Select[Any]:
    """The fault was not seen for long enough, or not since its worker started again."""
    started_again = and_(Node.fault_until.is_not(None), Node.started_at > Node.fault_at)
    changed = _changed(
        update(Node)
        .where(
            Node.name == name,
            Node.fault.is_not(None),
            or_(Node.fault_until <= func.now(), started_again),
        )
        .values(fault=None, fault_message=None, fault_at=None, fault_until=None)
    )
    return _announced(changed, "node.back", "scheduler", "the fault is over")


@statement
def end_future(quiet_seconds: float) -> Update:
    """What nodes wrote while the clock was ahead counts as written now."""
    limits: Mapping[str, Any] = {
        **dict.fromkeys(("heartbeat_at", "started_at", "untaken_at", "cleared_at", "fault_at"), func.now()),
        "fault_until": from_now(quiet_seconds),
    }
    return _end_future(Node, limits).values(reconnects=[])


@statement
def end_future_of_gpus() -> Update:
    """The same, of GPUs."""
    return _end_future(Gpu, dict.fromkeys(("seen_at", "unhealthy_at", "xid_at", "contested_at"), func.now()))


def _end_future(table: type[Node | Gpu], limits: Mapping[str, Any]) -> Update:
    columns = {name: (table.__table__.c[name], limit) for name, limit in limits.items()}
    return (
        update(table)
        .where(or_(*(column > limit for column, limit in columns.values())))
        .values({name: case((column > limit, limit), else_=column) for name, (column, limit) in columns.items()})
    )


@statement
def drain(name: str, *, reason: str, actor: str) -> Select[Any]:
    """Start no further job on the node, by order of an admin."""
    changed = _changed(
        update(Node)
        .where(Node.name == name, or_(~Node.draining, Node.reason.is_distinct_from(reason)))
        .values(draining=True, reason=reason)
    )
    return _announced(changed, "node.drained", actor, reason)


@statement
def undrain(name: str, *, actor: str) -> Select[Any]:
    """Take the node into service as it is now: ends a drain and a fault, and forgets GPUs until they work again."""
    broken = or_(~Gpu.healthy, Gpu.seen_at < Node.heartbeat_at)
    some_broken = select(Gpu.uuid).where(Gpu.node == Node.name, broken, Gpu.gone_at.is_(None)).exists()
    changed = _changed(
        update(Node)
        .where(Node.name == name, or_(Node.draining, Node.fault.is_not(None), some_broken))
        .values({**IN_ORDER, "cleared_at": func.now()}),
        Node.heartbeat_at,
    )
    here = and_(Gpu.node == changed.c.name, Gpu.gone_at.is_(None))
    works = and_(Gpu.healthy, or_(Gpu.seen_at.is_(None), Gpu.seen_at >= changed.c.heartbeat_at))
    forgotten = update(Gpu).where(here, ~works).values(GONE).returning(Gpu.uuid).cte("forgotten")
    accepted = (
        update(Gpu)
        .where(here, works)
        .values({**NO_FAULT, "known_total_bytes": Gpu.memory_total_bytes})
        .returning(Gpu.uuid)
        .cte("accepted")
    )
    return _announced(changed, "node.undrained", actor, "").add_cte(forgotten, accepted)


@statement
def remove(name: str, *, silence_seconds: float, actor: str) -> Select[Any]:
    """Take a node that is down off the list, with its GPUs and tokens. No row: it is up, or a job still holds it."""
    holds = exists().where(Lease.node == Node.name, Lease.released_at.is_(None))
    changed = _changed(
        update(Node)
        .where(Node.name == name, Node.removed_at.is_(None), is_down(silence_seconds), ~holds)
        .values({**IN_ORDER, "removed_at": func.now(), "stopped_at": func.coalesce(Node.stopped_at, func.now())})
    )
    gpus = (
        update(Gpu)
        .where(Gpu.node == changed.c.name, Gpu.gone_at.is_(None))
        .values(GONE)
        .returning(Gpu.uuid)
        .cte("forgotten")
    )
    tokens = (
        update(NodeToken)
        .where(NodeToken.node == changed.c.name, NodeToken.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(NodeToken.id)
        .cte("revoked")
    )
    return _announced(changed, "node.removed", actor, "").add_cte(gpus, tokens)


@statement
def events(name: str, limit: int) -> Select[*tuple[Any, ...]]:
    """What happened to a node, newest first."""
    return select(*NodeEvent.__table__.columns).where(NodeEvent.node == name).order_by(NodeEvent.id.desc()).limit(limit)


def _changed(statement: Update, *more: Any) -> CTE:
    return statement.returning(Node.name, *more).cte("changed")


def _announced(changed: CTE, kind: str, actor: str, message: str | ColumnElement[str]) -> Select[Any]:
    event = (
        insert(NodeEvent)
        .from_select(
            ["node", "type", "actor", "message"],
            select(changed.c.name, literal(kind, Text), text_of(actor), text_of(message)),
        )
        .returning(NodeEvent.id)
        .cte("event")
    )
    return select(changed.c.name, event.c.id).join_from(changed, event, literal(True))
