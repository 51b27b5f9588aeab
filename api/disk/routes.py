"""Where the disk goes."""

from fastapi import APIRouter, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.disk import service
from api.http.rendering import readable
from api.http.routing import LabRoute
from gpulab.schemas import DiskRead

router = APIRouter(prefix="/v1/disk", tags=["disk"], route_class=LabRoute)


@router.get("", operation_id="get_disk", response_model=DiskRead)
async def get_disk(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """Bytes by user, kind and age, and the lab's own places. Others than admins see what is theirs.

    The figures of the whole lab are measured at most every five minutes.
    """
    return readable(request, await service.read(app, principal))
