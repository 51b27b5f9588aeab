"""The students of an assignment, all at once. For staff."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.principal import Staff
from api.context import TheApp
from api.http.openapi import problems
from api.http.parameters import Words
from api.http.problems import (
    AssignmentNotFound,
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    InvalidRequest,
    MalformedBody,
    NoHiddenCheck,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from api.students import service
from gpulab.schemas.assignments import StandingState
from gpulab.schemas.assignments.students import (
    StudentsCheck,
    StudentsDone,
    StudentsExtend,
    StudentsMessage,
    StudentsOrder,
    WallRead,
)

router = APIRouter(prefix="/v1/assignments", tags=["assignments"], route_class=LabRoute)

AssignmentId = Annotated[UUID, Path(description="The assignment's id.")]
REFUSALS = problems(
    MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest, Forbidden, AssignmentNotFound, CourseArchived
)


@router.get(
    "/{assignment_id}/students",
    operation_id="get_assignment_wall",
    response_model=WallRead,
    responses=problems(Forbidden, AssignmentNotFound),
)
async def get_assignment_wall(
    request: Request,
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    state: Annotated[StandingState | None, Query(description="Only students in this state.")] = None,
    section: Words = None,
    team: Words = None,
    text: Words = None,
) -> Response:
    """Where each student of the class stands, in short, without pages. For staff."""
    among = {"state": state, "section": section, "team": team, "text": text}
    return readable(request, await service.wall(app, principal, assignment_id, among))


@router.post(
    "/{assignment_id}/students/extend",
    operation_id="extend_students",
    response_model=StudentsDone,
    responses=REFUSALS,
)
async def extend_students(
    app: TheApp, principal: Staff, assignment_id: AssignmentId, order: StudentsExtend
) -> Response:
    """Give each of these students a later deadline. For staff."""
    return json_response(await service.extend(app, principal, assignment_id, order))


@router.post(
    "/{assignment_id}/students/message",
    operation_id="message_students",
    response_model=StudentsDone,
    responses=REFUSALS,
)
async def message_students(
    app: TheApp, principal: Staff, assignment_id: AssignmentId, order: StudentsMessage
) -> Response:
    """Show a text on top of every page of these students. For staff."""
    return json_response(await service.message(app, principal, assignment_id, order))


@router.post(
    "/{assignment_id}/students/cancel-waiting",
    operation_id="cancel_waiting_runs",
    response_model=StudentsDone,
    responses=REFUSALS,
)
async def cancel_waiting_runs(
    app: TheApp, principal: Staff, assignment_id: AssignmentId, order: StudentsOrder
) -> Response:
    """Cancel the runs of these students that count for the assignment and wait in the queue. For staff."""
    return json_response(await service.cancel_waiting_runs(app, principal, assignment_id, order))


@router.post(
    "/{assignment_id}/students/check",
    operation_id="check_students",
    response_model=StudentsDone,
    responses={**REFUSALS, **problems(NoHiddenCheck)},
)
async def check_students(app: TheApp, principal: Staff, assignment_id: AssignmentId, order: StudentsCheck) -> Response:
    """Run the hidden check of what each of these students handed in again. For staff."""
    return json_response(await service.check(app, principal, assignment_id, order))
