"""The audit: an event in the statement that makes the change, or next to it for what has its own history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Select, Text, Uuid, cast, func, insert, literal, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import Insert

from models.composed import statement
from models.tables.assignment import Assignment
from models.tables.audit import AuditEvent
from models.tables.courses import Course
from models.tables.job import Job
from models.tables.study import Study
from models.tables.user import Token, User


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, and from where."""

    actor: str
    actor_id: UUID | None = None
    address: str | None = None
    request_id: str | None = None


SIGN_INS = "session."
"""How the actions of sign-ins begin. They are most of the audit, and few readers look for them."""
NAMED: Mapping[str, tuple[ColumnElement[UUID], ColumnElement[Any]]] = {
    "user": (User.__table__.c.id, User.__table__.c.name),
    "job": (Job.__table__.c.id, func.coalesce(Job.__table__.c.name, Job.__table__.c.experiment)),
    "study": (Study.__table__.c.id, func.coalesce(Study.__table__.c.name, Study.__table__.c.title)),
    "assignment": (Assignment.__table__.c.id, Assignment.__table__.c.name),
    "course": (Course.__table__.c.id, Course.__table__.c.name),
    "token": (Token.__table__.c.id, Token.__table__.c.name),
}
"""The kinds of things that have a name, with its column."""
OPERATOR = Origin("operator")
"""A person with the database's address."""


def audited(
    changed: CTE,
    origin: Origin,
    action: str,
    target: ColumnElement[str],
    details: Mapping[str, Any] | ColumnElement[Any] | None = None,
) -> Select[Any]:
    """Write an event for each row of `changed`, which `target` names; returns the columns of `changed`."""
    event = (
        insert(AuditEvent)
        .from_select(
            ["actor_id", "actor", "action", "target", "address", "request_id", "details"],
            select(
                cast(origin.actor_id, Uuid),
                cast(origin.actor, Text),
                cast(action, Text),
                target,
                cast(origin.address, Text),
                cast(origin.request_id, Text),
                details if isinstance(details, ColumnElement) else _json(details),
            ).select_from(changed),
        )
        .cte("audit_event")
    )
    return select(*changed.c).add_cte(event)


@statement(anew=True)
def note(origin: Origin, action: str, target: str | None, details: Mapping[str, Any] | None = None) -> Insert:
    """An event alone."""
    return insert(AuditEvent).values(
        actor_id=origin.actor_id,
        actor=origin.actor,
        action=action,
        target=target,
        address=origin.address,
        request_id=origin.request_id,
        details=_json(details),
    )


@statement(shape=("sign_ins",))
def page(
    *,
    limit: int,
    before: int | None = None,
    before_at: Any = None,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    sign_ins: bool | None = None,
    since: Any = None,
    until: Any = None,
    actor_id: UUID | None = None,
) -> Select[*tuple[Any, ...]]:
    """Newest first, at most `limit`, older than the event `before`.

    With dates the order is that of the times, since events of the same moment may be numbered differently. Then
    `before_at` is the time of `before`.
    """
    conditions: list[ColumnElement[bool]] = []
    if before_at is not None:
        conditions.append(tuple_(AuditEvent.at, AuditEvent.id) < tuple_(before_at, before))
    elif before is not None:
        conditions.append(AuditEvent.id < before)
    if actor is not None:
        conditions.append(AuditEvent.actor == actor)
    if actor_id is not None:
        conditions.append(AuditEvent.actor_id == actor_id)
    if action is not None:
        conditions.append(AuditEvent.action == action)
    if sign_ins is not None:
        begins = AuditEvent.action.startswith(SIGN_INS)
        conditions.append(begins if sign_ins else ~begins)
    if target is not None:
        conditions.append(AuditEvent.target == target)
    if since is not None:
        conditions.append(AuditEvent.at >= since)
    if until is not None:
        conditions.append(AuditEvent.at < until)
    dated = since is not None or until is not None
    order = [AuditEvent.at.desc(), AuditEvent.id.desc()] if dated else [AuditEvent.id.desc()]
    return select(*AuditEvent.__table__.columns).where(*conditions).order_by(*order).limit(limit)


@statement(anew=True)
def names(*, kind: str, ids: Sequence[UUID]) -> Select[*tuple[Any, ...]]:
    """Id and name of things of one kind in `NAMED`."""
    column, name = NAMED[kind]
    return select(column.label("id"), name.label("name")).where(column.in_(ids))


@statement
def time_of(event_id: int) -> Select[datetime]:
    return select(AuditEvent.at).where(AuditEvent.id == event_id)


def _json(details: Mapping[str, Any] | None) -> ColumnElement[Any]:
    return cast(literal(json.dumps(dict(details or {}), default=str), Text), JSONB)
