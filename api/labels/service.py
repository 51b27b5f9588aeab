"""The name and the tags of a job, which its owner and staff may change at any time."""

from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.jobs import service
from api.labels import statements
from api.sharing.service import check_may_change
from gpulab.schemas import JobRead, JobUpdate


async def change(app: App, principal: Principal, job_id: UUID, order: JobUpdate) -> JobRead:
    """Raises `JobNotFound`, `Forbidden`."""
    check_may_change(principal, await service.visible(app, principal, job_id))
    values = order.model_dump(exclude_unset=True)
    if values.get("tags", ()) is None:
        values["tags"] = []
    if values:
        await app.database.execute(statements.relabel, job_id=job_id, values=values)
    return await service.get(app, principal, job_id)
