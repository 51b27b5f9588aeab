"""The name, the tags and the note of a job, which its owner and staff may change at any time."""

from typing import Any
from uuid import UUID

from api.audit import statements as audit
from api.auth.principal import Principal
from api.context import App
from api.courses.access import check_open
from api.jobs import service
from api.labels import statements
from api.sharing.service import check_may_change
from api.sql.database import Row
from gpulab.schemas import JobRead, JobUpdate


async def change(app: App, principal: Principal, job_id: UUID, order: JobUpdate) -> JobRead:
    """Raises `JobNotFound`, `Forbidden`, `CourseArchived`."""
    row = await service.visible(app, principal, job_id)
    check_may_change(principal, row)
    await check_open(app, row.course_id)
    values = order.model_dump(exclude_unset=True)
    if values.get("tags", ()) is None:
        values["tags"] = []
    if values:
        changed = await app.database.row(statements.relabel, job_id=job_id, values=values)
        if "note" in values and principal.id != row.owner_id:
            await _record_note(app, principal, job_id, changed)
    return await service.get(app, principal, job_id)


async def _record_note(app: App, principal: Principal, job_id: UUID, changed: Row | None) -> None:
    """The owner can see what their note was before staff changed it."""
    if changed is None or changed.before == changed.note:
        return
    details: dict[str, Any] = {"before": changed.before, "after": changed.note}
    origin = principal.origin
    await app.database.execute(
        audit.note, origin=origin, action="job.note_changed", target=f"job:{job_id}", details=details
    )
