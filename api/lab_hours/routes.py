"""Lab hours: GPUs kept free for a class at certain times."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from api.auth.principal import Staff, ThePrincipal
from api.context import TheApp
from api.http.openapi import headers, problems
from api.http.problems import (
    BodyTooLarge,
    Busy,
    CourseArchived,
    Forbidden,
    InvalidRequest,
    LabHoursNotFound,
    MalformedBody,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from api.lab_hours import service
from gpulab.schemas import LabHoursCreate, LabHoursList, LabHoursRead, LabHoursUpdate

router = APIRouter(prefix="/v1/lab-hours", tags=["lab_hours"], route_class=LabRoute)

LabHoursId = Annotated[UUID, Path(description="The id of the lab hours.")]
BODY = (MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest)


@router.get("", operation_id="list_lab_hours", response_model=LabHoursList)
async def list_lab_hours(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """Lab hours that are not over, the next one first. Students see names only if the lab hours are for them."""
    return readable(request, await service.lab_hours(app, principal))


@router.post(
    "",
    operation_id="create_lab_hours",
    status_code=201,
    response_model=LabHoursRead,
    responses={201: {"headers": headers(Location="The address.")}, **problems(*BODY, Forbidden, CourseArchived, Busy)},
)
async def create_lab_hours(app: TheApp, principal: Staff, order: LabHoursCreate) -> Response:
    """Keep GPUs free for a section, an assignment or named users, once or each week. For staff."""
    made = await service.create(app, principal, order)
    return json_response(made, status=201, headers={"Location": f"/v1/lab-hours/{made.id}"})


@router.get(
    "/{lab_hours_id}",
    operation_id="get_lab_hours",
    response_model=LabHoursRead,
    responses=problems(LabHoursNotFound),
)
async def get_lab_hours(request: Request, app: TheApp, principal: ThePrincipal, lab_hours_id: LabHoursId) -> Response:
    """Lab hours, and when they are next."""
    return readable(request, await service.get(app, principal, lab_hours_id))


@router.patch(
    "/{lab_hours_id}",
    operation_id="change_lab_hours",
    response_model=LabHoursRead,
    responses=problems(*BODY, Forbidden, LabHoursNotFound, Busy),
)
async def change_lab_hours(app: TheApp, principal: Staff, lab_hours_id: LabHoursId, order: LabHoursUpdate) -> Response:
    """Change times, GPUs or users, or skip single days. For staff."""
    return json_response(await service.change(app, principal, lab_hours_id, order))


@router.delete(
    "/{lab_hours_id}",
    operation_id="cancel_lab_hours",
    status_code=204,
    response_class=Response,
    responses=problems(Forbidden, LabHoursNotFound),
)
async def cancel_lab_hours(app: TheApp, principal: Staff, lab_hours_id: LabHoursId) -> Response:
    """Cancel lab hours, including all future ones. For staff."""
    await service.cancel(app, principal, lab_hours_id)
    return Response(status_code=204)
