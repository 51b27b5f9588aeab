"""What programs find installed."""

from fastapi import APIRouter, Request, Response

from api.context import TheApp
from api.environment import service
from api.http.rendering import readable
from api.http.routing import LabRoute
from gpulab.schemas import EnvironmentPage

router = APIRouter(prefix="/v1/environment", tags=["programs"], route_class=LabRoute)


@router.get("", operation_id="list_environments", response_model=EnvironmentPage)
async def list_environments(request: Request, app: TheApp) -> Response:
    """The Python packages that a program finds, with their versions, for each environment that the nodes have."""
    return readable(request, await service.page(app))
