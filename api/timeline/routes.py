"""The lab over time."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import problems
from api.http.problems import InvalidRequest, NodeNotFound
from api.http.rendering import readable
from api.http.routing import LabRoute
from api.nodes.routes import NodeName
from api.timeline import service
from api.timeline.readings import MAX_HOURS
from gpulab.schemas import NodeHistoryRead, TimelineRead

router = APIRouter(prefix="/v1", tags=["nodes"], route_class=LabRoute)

Hours = Annotated[int, Query(ge=1, le=MAX_HOURS, description="How many hours back.")]


@router.get("/timeline", operation_id="get_timeline", response_model=TimelineRead, responses=problems(InvalidRequest))
async def get_timeline(request: Request, app: TheApp, principal: ThePrincipal, hours: Hours = 24) -> Response:
    """Which run held which GPU, which are expected to start, and how busy the GPUs were.

    Students see only the names of their own runs. Of more than 1,000 runs, the longest are listed.
    """
    return readable(request, await service.timeline(app, principal, hours))


@router.get(
    "/nodes/{name}/history",
    operation_id="get_node_history",
    response_model=NodeHistoryRead,
    responses=problems(InvalidRequest, NodeNotFound),
)
async def get_node_history(request: Request, app: TheApp, name: NodeName, hours: Hours = 24) -> Response:
    """Utilisation, memory, temperature and power of the node's GPUs over time; kept for a week."""
    return readable(request, await service.node_history(app, name, hours))
