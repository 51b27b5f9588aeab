"""Anonymising and deleting users."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.auth.principal import Admin
from api.context import TheApp
from api.erasure import service
from api.http.openapi import problems
from api.http.problems import (
    BodyTooLarge,
    Forbidden,
    InvalidRequest,
    LastAdmin,
    MalformedBody,
    UnsupportedMediaType,
    UserErased,
    UserNotFound,
)
from api.http.rendering import json_response
from api.http.routing import UserRoute
from gpulab.schemas import ErasureOrder, ErasureRead

router = APIRouter(prefix="/v1/users", tags=["users"], route_class=UserRoute)


@router.post(
    "/{user_id}/erase",
    operation_id="erase_user",
    status_code=202,
    response_model=ErasureRead,
    responses={
        200: {"model": ErasureRead, "description": "The counts of a dry run."},
        **problems(
            MalformedBody,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            Forbidden,
            UserNotFound,
            LastAdmin,
            UserErased,
        ),
    },
)
async def erase_user(app: TheApp, principal: Admin, user_id: UUID, order: ErasureOrder) -> Response:
    """Anonymise a user, or delete them with all that is theirs. It cannot be undone: export their data first.

    They cannot sign in from then on, their runs are cancelled, and the rest follows within minutes. The audit keeps who
    did what, without the name. For admins.
    """
    done = await service.erase(app, principal, user_id, order)
    return json_response(done, status=200 if order.dry_run else 202)
