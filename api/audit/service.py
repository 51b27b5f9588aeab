"""Reading the audit."""

from datetime import datetime
from typing import Any

from api.audit import statements
from api.audit.recording import ACTIONS, FORMER_NAMES
from api.context import App
from api.http import cursors
from api.sql.database import Row
from gpulab.schemas import AuditEventRead, AuditPage
from models.audit import AuditEvent

NAMES = tuple(column.name for column in AuditEvent.__table__.columns)


async def page(
    app: App,
    filters: dict[str, str | None],
    since: datetime | None,
    until: datetime | None,
    cursor: str | None,
    limit: int,
) -> AuditPage:
    """One page, newest first. Raises `InvalidCursor`."""
    given: dict[str, Any] = {**filters, "since": since, "until": until}
    before = None if cursor is None else cursors.decode_number(cursor, "audit", given)
    dated = before is not None and (since is not None or until is not None)
    before_at = await app.database.scalar(statements.time_of, event_id=before) if dated else None
    former = FORMER_NAMES.get(filters["action"] or "")
    rows = await app.database.rows(
        statements.page, before=before, before_at=before_at, limit=limit + 1, former_action=former, **given
    )
    items = [_read(row) for row in rows[:limit]]
    more = len(rows) > limit
    return AuditPage(items=items, next_cursor=cursors.encode("audit", given, items[-1].id) if more else None)


def _read(row: Row) -> AuditEventRead:
    values = {name: getattr(row, name) for name in NAMES}
    return AuditEventRead(**{**values, "action": ACTIONS.get(row.action, row.action)})
