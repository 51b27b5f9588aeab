"""What the machines say of themselves, and what the scheduler reads of them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, Update, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import Delete, Insert

from models.node import Gpu, Node


def join(values: dict[str, Any]) -> Insert:
    """A worker starts: its node's description replaces the one before. A drain ordered by staff stays."""
    statement = insert(Node).values(**values, started_at=func.now(), heartbeat_at=func.now(), stopped_at=None)
    changes = {name: statement.excluded[name] for name in values if name != "name"}
    return statement.on_conflict_do_update(
        index_elements=[Node.name],
        set_={**changes, "started_at": func.now(), "heartbeat_at": func.now(), "stopped_at": None},
    )


def beat(name: str, **values: Any) -> Update:
    """The node lives; `values` are what changed of its description."""
    return update(Node).where(Node.name == name).values(heartbeat_at=func.now(), **values)


def leave(name: str) -> Update:
    return update(Node).where(Node.name == name).values(stopped_at=func.now())


def keep_gpus(rows: list[dict[str, Any]]) -> Insert:
    statement = insert(Gpu).values(rows)
    return statement.on_conflict_do_update(
        index_elements=[Gpu.uuid], set_={name: statement.excluded[name] for name in rows[0] if name != "uuid"}
    )


def forget_gpus(node: str, present: list[str]) -> Delete:
    return delete(Gpu).where(Gpu.node == node, Gpu.uuid.not_in(present))


def alive(silence_seconds: float) -> Select[Node]:
    """Nodes heard of lately and not stopped. Draining ones are among them, so that they can be named."""
    return select(Node).where(
        Node.stopped_at.is_(None), Node.heartbeat_at > func.now() - timedelta(seconds=silence_seconds)
    )


def every() -> Select[Node]:
    return select(Node).order_by(Node.name)


def gpus() -> Select[Gpu]:
    return select(Gpu).order_by(Gpu.node, Gpu.index)


def drain(name: str, *, draining: bool, reason: str | None) -> Update:
    return (
        update(Node)
        .where(Node.name == name, or_(Node.draining != draining, Node.reason.is_distinct_from(reason)))
        .values(draining=draining, reason=reason)
    )


def overview(silence_seconds: float) -> Select[*tuple[Any, ...]]:
    """Every node, and whether it is `down`: stopped, or not heard of lately by the clock of the database."""
    silent = Node.heartbeat_at <= func.now() - timedelta(seconds=silence_seconds)
    down = or_(Node.stopped_at.is_not(None), silent).label("down")
    return select(*Node.__table__.columns, down).order_by(Node.name)
