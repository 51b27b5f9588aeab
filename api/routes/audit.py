"""Who did what."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.auth import Staff
from api.context import TheLab
from api.openapi import problems
from api.problems import Forbidden, InvalidCursor, InvalidRequest
from api.rendering import readable
from api.routes.parameters import Cursor, Limit, Words
from api.routing import LabRoute
from api.services import auditing
from gpulab.schemas import AuditPage
from gpulab.schemas.people import Moment

router = APIRouter(prefix="/v1/audit", tags=["audit"], route_class=LabRoute)


@router.get(
    "",
    operation_id="list_audit_events",
    response_model=AuditPage,
    responses=problems(Forbidden, InvalidRequest, InvalidCursor),
)
async def list_audit_events(
    request: Request,
    lab: TheLab,
    _: Staff,
    actor: Annotated[Words, Query(description="`user:<name>`, `anonymous` or `operator`.")] = None,
    action: Annotated[Words, Query(description="`user.created`, `node.drained`, ...")] = None,
    target: Annotated[Words, Query(description="`user:<id>`, `job:<id>`, `node:<name>`, ...")] = None,
    since: Annotated[Moment | None, Query(description="From this instant on.")] = None,
    until: Annotated[Moment | None, Query(description="Before this instant.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """What was done, by whom, on what, when and from where; newest first. For staff."""
    filters = {"actor": actor, "action": action, "target": target}
    return readable(request, await auditing.page(lab, filters, since, until, cursor, limit))
