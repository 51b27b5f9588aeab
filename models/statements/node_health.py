"""Setting nodes aside and taking them back; each change is one guarded statement with its event."""

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
    delete,
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
from models.statements.nodes import alive
from models.statements.notifications import outbox
from models.statements.transitions import text_of
from models.tables.node import Gpu, Node, NodeEvent, NodeToken

SET_ASIDE = "node.set_aside"
REFUSED = "node.refused"
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
        or_(
            Gpu.unhealthy_at.is_not(None),
            Gpu.xid_at.is_not(None),
            Gpu.contested_at.is_not(None),
            func.abs(Gpu.memory_total_bytes - Gpu.known_total_bytes) > MIN_CHANGE * Gpu.known_total_bytes,
        )
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
    """The fault was not seen for long enough."""
    changed = _changed(
        update(Node)
        .where(Node.name == name, Node.fault.is_not(None), Node.fault_until <= func.now())
        .values(fault=None, fault_message=None, fault_at=None, fault_until=None)
    )
    return _announced(changed, "node.back", "scheduler", "no fault was seen for long enough")


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
    """Take the node into service as it is now: ends a drain and a fault, and accepts its GPUs as they are."""
    missing_some = select(Gpu.uuid).where(Gpu.node == Node.name, Gpu.seen_at < Node.heartbeat_at).exists()
    changed = _changed(
        update(Node)
        .where(Node.name == name, or_(Node.draining, Node.fault.is_not(None), missing_some))
        .values(
            draining=False, reason=None, fault=None, fault_message=None, fault_at=None, fault_until=None,
            reconnects=[], untaken_leases=0, cleared_at=func.now(),
        ),
        Node.heartbeat_at,
    )  # fmt: skip
    here = and_(Gpu.node == changed.c.name)
    missing = Gpu.seen_at < changed.c.heartbeat_at
    forgotten = delete(Gpu).where(here, missing).returning(Gpu.uuid).cte("forgotten")
    accepted = (
        update(Gpu)
        .where(here, or_(~missing, Gpu.seen_at.is_(None)))
        .values(
            known_total_bytes=Gpu.memory_total_bytes,
            unhealthy_at=None, xid=None, xid_at=None, contested_by=None, contested_at=None,
        )
        .returning(Gpu.uuid)
        .cte("accepted")
    )  # fmt: skip
    return _announced(changed, "node.undrained", actor, "").add_cte(forgotten, accepted)


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
