"""The banners of the lab."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from api.auth.principal import Staff, ThePrincipal
from api.banners import service
from api.context import TheApp
from api.http.openapi import headers, problems
from api.http.problems import (
    BannerNotFound,
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    InvalidRequest,
    MalformedBody,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from gpulab.schemas.notifications import BannerCreate, BannerPage, BannerRead

router = APIRouter(prefix="/v1/banners", tags=["banners"], route_class=LabRoute)


@router.get("", operation_id="list_banners", response_model=BannerPage)
async def list_banners(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """What every page shows on top now: texts of staff, maintenance, and drained machines.

    Staff also see what was written to single students of their courses.
    """
    return readable(request, await service.page(app, principal))


@router.post(
    "",
    operation_id="create_banner",
    status_code=201,
    response_model=BannerRead,
    responses={
        201: {"headers": headers(Location="The banner's address.")},
        **problems(Forbidden, MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest, CourseArchived),
    },
)
async def create_banner(app: TheApp, principal: Staff, order: BannerCreate) -> Response:
    """Show a text on every page of a course, or of the whole lab, until it ends. For staff."""
    made = await service.create(app, principal, order)
    return json_response(made, status=201, headers={"Location": f"/v1/banners/{made.id}"})


@router.delete(
    "/{banner_id}",
    operation_id="end_banner",
    status_code=204,
    response_class=Response,
    responses=problems(Forbidden, BannerNotFound),
)
async def end_banner(
    app: TheApp, principal: Staff, banner_id: Annotated[UUID, Path(description="The banner's id.")]
) -> Response:
    """Show it no longer. For staff. The banner of a drained machine ends with the drain."""
    await service.end(app, principal, banner_id)
    return Response(status_code=204)
