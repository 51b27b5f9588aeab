"""Who is asking."""

from fastapi import APIRouter, Request, Response

from api.auth import ThePrincipal
from api.rendering import readable
from api.routing import LabRoute
from gpulab.schemas import MeRead

router = APIRouter(prefix="/v1", tags=["people"], route_class=LabRoute)


@router.get("/me", operation_id="get_me", response_model=MeRead)
async def get_me(request: Request, principal: ThePrincipal) -> Response:
    """Whom the token belongs to, and until when."""
    return readable(
        request,
        MeRead(
            id=principal.id,
            name=principal.name,
            role=principal.role,
            token_name=principal.token_name,
            token_expires_at=principal.token_expires_at,
        ),
    )
