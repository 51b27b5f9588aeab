"""Who did what, on what, when and from where. Rows are only ever added: the table refuses UPDATE and DELETE."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base


class AuditEvent(Base):
    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_actor_id", "actor", "id"),
        Index("ix_audit_events_target_id", "target", "id"),
        Index("ix_audit_events_action_id", "action", "id"),
        Index("ix_audit_events_at_id", "at", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    actor_id: Mapped[UUID | None]
    """Null if no user was signed in."""
    actor: Mapped[str]
    """`user:<name>`, `anonymous`, `operator`."""
    action: Mapped[str]
    """`user.created`, `token.revoked`, `node.drained`, ...: `thing.done`."""
    target: Mapped[str | None]
    """`user:<id>`, `job:<id>`, `node:<name>`, ..."""
    address: Mapped[str | None]
    """Where the request came from."""
    request_id: Mapped[str | None]
    details: Mapped[dict[str, Any]]
    """What changed, never a secret."""
