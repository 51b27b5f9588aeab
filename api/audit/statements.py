"""The audit: an event in the statement that makes the change, or next to it for what has its own history."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Select, Text, Uuid, cast, insert, literal, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import Insert

from models.composed import statement
from models.tables.audit import AuditEvent


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, and from where."""

    actor: str
    actor_id: UUID | None = None
    address: str | None = None
    request_id: str | None = None


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


@statement
def page(
    *,
    limit: int,
    before: int | None = None,
    before_at: Any = None,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    since: Any = None,
    until: Any = None,
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
    if action is not None:
        conditions.append(AuditEvent.action == action)
    if target is not None:
        conditions.append(AuditEvent.target == target)
    if since is not None:
        conditions.append(AuditEvent.at >= since)
    if until is not None:
        conditions.append(AuditEvent.at < until)
    dated = since is not None or until is not None
    order = [AuditEvent.at.desc(), AuditEvent.id.desc()] if dated else [AuditEvent.id.desc()]
    return select(*AuditEvent.__table__.columns).where(*conditions).order_by(*order).limit(limit)


@statement
def time_of(event_id: int) -> Select[datetime]:
    return select(AuditEvent.at).where(AuditEvent.id == event_id)


def _json(details: Mapping[str, Any] | None) -> ColumnElement[Any]:
    return cast(literal(json.dumps(dict(details or {}), default=str), Text), JSONB)
