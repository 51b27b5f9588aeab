"""The roster."""

from fastapi import APIRouter, Request, Response

from api.auth.principal import Staff
from api.context import TheApp
from api.http.openapi import problems
from api.http.parameters import OfCourse, Words
from api.http.problems import (
    AlreadyTaken,
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    InvalidRequest,
    MalformedBody,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import UserRoute
from api.roster import service
from gpulab.schemas.roster import RosterImport, RosterImported, RosterRead

router = APIRouter(prefix="/v1/roster", tags=["roster"], route_class=UserRoute)


@router.get("", operation_id="get_roster", response_model=RosterRead, responses=problems(Forbidden, InvalidRequest))
async def get_roster(
    request: Request,
    app: TheApp,
    principal: Staff,
    section: Words = None,
    team: Words = None,
    course: OfCourse = None,
) -> Response:
    """Every student of the courses that you teach who is let in, by section, team and name. For staff."""
    return readable(request, await service.read(app, principal, course, section, team))


@router.post(
    "",
    operation_id="import_roster",
    response_model=RosterImported,
    responses=problems(
        MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest, Forbidden, AlreadyTaken, CourseArchived
    ),
)
async def import_roster(app: TheApp, principal: Staff, order: RosterImport) -> Response:
    """Let a class in from a table, or bring it up to date: all of it, or nothing where a line is wrong. For staff."""
    done = await service.bring_in(app, principal, order)
    return json_response(done, headers={"Cache-Control": "no-store"})
