"""The queue of the whole lab."""

from fastapi import APIRouter, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.rendering import readable
from api.http.routing import LabRoute
from api.jobs import lab_queue
from gpulab.schemas import LabQueueRead

router = APIRouter(prefix="/v1/queue", tags=["jobs"], route_class=LabRoute)


@router.get("", operation_id="get_queue", response_model=LabQueueRead)
async def get_queue(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """How many runs of the whole lab run and wait, your place, and when your next run may start. It has no names."""
    return readable(request, await lab_queue.lab_queue(app, principal))
