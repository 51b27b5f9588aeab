"""The audit on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from gpulab.schemas.base import Outgoing


class AuditEventRead(Outgoing):
    """Who did what, on what, when and from where."""

    id: int
    at: datetime
    actor_id: UUID | None
    actor: str
    """`user:<name>`, `anonymous`, `operator`."""
    action: str
    """`thing.done`: `user.created`, `session.opened`, `job.cancel_requested`, `node.drained`, ..."""
    target: str | None
    """`user:<id>`, `job:<id>`, `node:<name>`, ..."""
    address: str | None
    request_id: str | None
    details: dict[str, Any]


class AuditPage(Outgoing):
    items: list[AuditEventRead]
    next_cursor: str | None
