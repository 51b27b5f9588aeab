"""The roster."""

from fastapi import APIRouter, Request, Response

from api.auth import Staff
from api.context import TheLab
from api.openapi import problems
from api.problems import (
    AlreadyTaken,
    BodyTooLarge,
    Forbidden,
    InvalidRequest,
    MalformedBody,
    UnsupportedMediaType,
)
from api.rendering import json_response, readable
from api.routes.parameters import Words
from api.routing import PeopleRoute
from api.services import roster
from gpulab.schemas.roster import RosterImport, RosterImported, RosterRead

router = APIRouter(prefix="/v1/roster", tags=["roster"], route_class=PeopleRoute)


@router.get("", operation_id="get_roster", response_model=RosterRead, responses=problems(Forbidden, InvalidRequest))
async def get_roster(request: Request, lab: TheLab, _: Staff, section: Words = None, team: Words = None) -> Response:
    """Every student who is let in, by section, team and name. For staff."""
    return readable(request, await roster.read(lab, section, team))


@router.post(
    "",
    operation_id="import_roster",
    response_model=RosterImported,
    responses=problems(MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest, Forbidden, AlreadyTaken),
)
async def import_roster(lab: TheLab, principal: Staff, order: RosterImport) -> Response:
    """Let a class in from a table, or bring it up to date: all of it, or nothing where a line is wrong. For staff."""
    done = await roster.bring_in(lab, principal, order)
    return json_response(done, headers={"Cache-Control": "no-store"})
