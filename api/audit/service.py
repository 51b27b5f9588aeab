"""Reading the audit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.audit import statements
from api.audit.names import names_of
from api.auth.principal import Principal
from api.context import App
from api.http.cursors import decode_number, paged
from api.sql.database import Row
from gpulab.schemas import AuditEventRead, AuditPage
from models.tables.audit import AuditEvent

NAMES = tuple(column.name for column in AuditEvent.__table__.columns)


async def page(
    app: App,
    principal: Principal,
    filters: dict[str, str | bool | None],
    since: datetime | None,
    until: datetime | None,
    cursor: str | None,
    limit: int,
) -> AuditPage:
    """One page, newest first. Raises `InvalidCursor`.

    Events are of no course: who does not teach all of the lab sees what they did themselves.
    """
    actor_id = None if principal.sees_all else principal.id
    given: dict[str, Any] = {**filters, "since": since, "until": until, "actor_id": actor_id}

    async def fetch(before: int | None, most: int) -> Sequence[Row]:
        before_at = None
        if before is not None and (since is not None or until is not None):
            before_at = await app.database.scalar(statements.time_of, event_id=before)
        return await app.database.rows(statements.page, before=before, before_at=before_at, limit=most, **given)

    rows, next_cursor = await paged(
        "audit", given, cursor, limit, fetch, decode=decode_number, position=lambda row: int(row.id)
    )
    names = await names_of(app.database, (row.target for row in rows))
    return AuditPage(items=[_read(row, names) for row in rows], next_cursor=next_cursor)


def _read(row: Row, names: Mapping[str, str]) -> AuditEventRead:
    return AuditEventRead(**{name: getattr(row, name) for name in NAMES}, target_name=names.get(row.target))
