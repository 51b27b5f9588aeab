"""Who did what."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.audit import service
from api.auth.principal import Staff
from api.context import TheApp
from api.http.openapi import problems
from api.http.parameters import Cursor, Limit, Words
from api.http.problems import Forbidden, InvalidCursor, InvalidRequest
from api.http.rendering import readable
from api.http.routing import LabRoute
from gpulab.schemas import AuditPage
from gpulab.schemas.users import Moment

router = APIRouter(prefix="/v1/audit", tags=["audit"], route_class=LabRoute)


@router.get(
    "",
    operation_id="list_audit_events",
    response_model=AuditPage,
    responses=problems(Forbidden, InvalidRequest, InvalidCursor),
)
async def list_audit_events(
    request: Request,
    app: TheApp,
    principal: Staff,
    actor: Annotated[Words, Query(description="`user:<name>`, `anonymous` or `operator`.")] = None,
    action: Annotated[Words, Query(description="`user.created`, `node.drained`, ...")] = None,
    target: Annotated[Words, Query(description="`user:<id>`, `job:<id>`, `node:<name>`, ...")] = None,
    sign_ins: Annotated[bool | None, Query(description="Only sign-ins (`session.…`), or only other events.")] = None,
    since: Annotated[Moment | None, Query(description="At or after this time.")] = None,
    until: Annotated[Moment | None, Query(description="Before this time.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The log of changes: who did what, to what, when and from where; newest first. For staff.

    In a lab with several courses, instructors see what they did themselves.
    """
    filters = {"actor": actor, "action": action, "target": target, "sign_ins": sign_ins}
    return readable(request, await service.page(app, principal, filters, since, until, cursor, limit))
