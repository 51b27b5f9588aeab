"""Assignments: what is to be handed in, how the class stands, and what was handed in."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.assignments import reruns, service
from api.auth.principal import Staff, ThePrincipal
from api.context import TheApp
from api.extensions import service as extensions
from api.http.openapi import headers, problems
from api.http.parameters import Cursor, Limit, OfCourse, Words
from api.http.problems import (
    AlreadyTaken,
    ArtifactQuotaReached,
    AssignmentNotFound,
    AssignmentOver,
    BodyTooLarge,
    CourseArchived,
    ExtensionNotFound,
    Forbidden,
    InvalidCursor,
    InvalidRequest,
    JobNotFinished,
    MalformedBody,
    NoHiddenCheck,
    QueueLimitReached,
    SubmissionNotFound,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from gpulab.schemas import JobRead
from gpulab.schemas.assignments import (
    AssignmentCreate,
    AssignmentPage,
    AssignmentRead,
    AssignmentUpdate,
    ComparisonRead,
    ExtensionList,
    ExtensionOrder,
    ExtensionRead,
    OverviewRead,
    PinOrder,
    StandingState,
    SubmissionPage,
    SubmissionRead,
    WorkRead,
)

router = APIRouter(prefix="/v1/assignments", tags=["assignments"], route_class=LabRoute)

AssignmentId = Annotated[UUID, Path(description="The assignment's id.")]
UserId = Annotated[UUID, Path(description="Who handed it in.")]
BODY = (MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest)


@router.get("", operation_id="list_assignments", response_model=AssignmentPage, responses=problems(InvalidCursor))
async def list_assignments(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    course: OfCourse = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Assignments of your courses, newest first, each with what you handed in."""
    return readable(request, await service.page(app, principal, course, cursor, limit))


@router.post(
    "",
    operation_id="create_assignment",
    status_code=201,
    response_model=AssignmentRead,
    responses={
        201: {"headers": headers(Location="The assignment's address.")},
        **problems(*BODY, Forbidden, AlreadyTaken, CourseArchived),
    },
)
async def create_assignment(app: TheApp, principal: Staff, order: AssignmentCreate) -> Response:
    """Set an assignment. For staff."""
    made = await service.create(app, principal, order)
    return json_response(made, status=201, headers={"Location": f"/v1/assignments/{made.id}"})


@router.get(
    "/{assignment_id}",
    operation_id="get_assignment",
    response_model=AssignmentRead,
    responses=problems(AssignmentNotFound),
)
async def get_assignment(
    request: Request, app: TheApp, principal: ThePrincipal, assignment_id: AssignmentId
) -> Response:
    """One assignment, with what you handed in."""
    return readable(request, await service.get(app, principal, assignment_id))


@router.get(
    "/{assignment_id}/work",
    operation_id="get_assignment_work",
    response_model=WorkRead,
    responses=problems(AssignmentNotFound),
)
async def get_assignment_work(
    request: Request, app: TheApp, principal: ThePrincipal, assignment_id: AssignmentId
) -> Response:
    """Your work on it: the questions and experiments that count, which of them you have runs for, and those runs."""
    return readable(request, await service.work(app, principal, assignment_id))


@router.patch(
    "/{assignment_id}",
    operation_id="change_assignment",
    response_model=AssignmentRead,
    responses=problems(*BODY, Forbidden, AssignmentNotFound, AlreadyTaken, CourseArchived),
)
async def change_assignment(
    app: TheApp, principal: Staff, assignment_id: AssignmentId, order: AssignmentUpdate
) -> Response:
    """Change its name, deadline, parts, programs or points, or who sees the grades. For staff."""
    return json_response(await service.change(app, principal, assignment_id, order))


@router.get(
    "/{assignment_id}/extensions",
    operation_id="list_extensions",
    response_model=ExtensionList,
    responses=problems(Forbidden, AssignmentNotFound),
)
async def list_extensions(request: Request, app: TheApp, principal: Staff, assignment_id: AssignmentId) -> Response:
    """Later deadlines for single users and sections, newest first. For staff."""
    return readable(request, await extensions.extensions(app, principal, assignment_id))


@router.post(
    "/{assignment_id}/extensions",
    operation_id="extend_assignment",
    response_model=ExtensionRead,
    responses=problems(*BODY, Forbidden, AssignmentNotFound, CourseArchived),
)
async def extend_assignment(
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    order: ExtensionOrder,
) -> Response:
    """Give one user or one section a later deadline. For staff."""
    return json_response(await extensions.extend(app, principal, assignment_id, order))


@router.delete(
    "/{assignment_id}/extensions/{extension_id}",
    operation_id="end_extension",
    status_code=204,
    response_class=Response,
    responses=problems(Forbidden, AssignmentNotFound, ExtensionNotFound, CourseArchived),
)
async def end_extension(
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    extension_id: Annotated[UUID, Path(description="The extension's id.")],
) -> Response:
    """Take a later deadline back. For staff."""
    await extensions.end(app, principal, assignment_id, extension_id)
    return Response(status_code=204)


@router.get(
    "/{assignment_id}/overview",
    operation_id="get_assignment_overview",
    response_model=OverviewRead,
    responses=problems(Forbidden, AssignmentNotFound, InvalidCursor),
)
async def get_assignment_overview(
    request: Request,
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    state: Annotated[StandingState | None, Query(description="Only students in this state.")] = None,
    section: Words = None,
    team: Words = None,
    text: Words = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Who has a successful run, who is stuck and on what, who has none, and who handed something in. For staff.

    Students come page by page, those first who are stuck. The counts are of all who match section, team and text.
    """
    among = {"state": state, "section": section, "team": team, "text": text}
    return readable(request, await service.overview(app, principal, assignment_id, among, cursor, limit))


@router.post(
    "/{assignment_id}/submission",
    operation_id="pin_submission",
    response_model=SubmissionRead,
    responses=problems(*BODY, AssignmentNotFound, AssignmentOver, SubmissionNotFound, CourseArchived),
)
async def pin_submission(
    app: TheApp, principal: ThePrincipal, assignment_id: AssignmentId, order: PinOrder
) -> Response:
    """Hand in a run of yours that succeeded, in the place of the one before.

    After the deadline a first one is taken as late, and one that was in time stays.
    """
    return json_response(await service.pin(app, principal, assignment_id, order))


@router.get(
    "/{assignment_id}/submission",
    operation_id="get_submission",
    response_model=SubmissionRead,
    responses=problems(AssignmentNotFound, SubmissionNotFound),
)
async def get_submission(
    request: Request, app: TheApp, principal: ThePrincipal, assignment_id: AssignmentId
) -> Response:
    """What you handed in."""
    return readable(request, await service.submission(app, principal, assignment_id, principal.id))


@router.get(
    "/{assignment_id}/submissions",
    operation_id="list_submissions",
    response_model=SubmissionPage,
    responses=problems(Forbidden, AssignmentNotFound, InvalidCursor),
)
async def list_submissions(
    request: Request,
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    text: Annotated[Words, Query(description="Part of a student's name or email address.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """What the class handed in, by name. For staff."""
    return readable(request, await service.submissions(app, principal, assignment_id, text, cursor, limit))


@router.post(
    "/{assignment_id}/submissions/{user_id}/rerun",
    operation_id="rerun_submission",
    status_code=201,
    response_model=JobRead,
    responses={
        201: {"headers": headers(Location="The new job's address.")},
        **problems(
            Forbidden,
            AssignmentNotFound,
            SubmissionNotFound,
            JobNotFinished,
            QueueLimitReached,
            ArtifactQuotaReached,
            CourseArchived,
        ),
    },
)
async def rerun_submission(app: TheApp, principal: Staff, assignment_id: AssignmentId, user_id: UserId) -> Response:
    """Run what was handed in again, with its spec and seed, as a job of yours whose `retry_of` it is. For staff."""
    job = await reruns.rerun(app, principal, assignment_id, user_id)
    return json_response(job, status=201, headers={"Location": f"/v1/jobs/{job.id}"})


@router.get(
    "/{assignment_id}/submissions/{user_id}/comparison",
    operation_id="compare_submission",
    response_model=ComparisonRead,
    responses=problems(Forbidden, AssignmentNotFound, SubmissionNotFound),
)
async def compare_submission(
    request: Request,
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    user_id: UserId,
    tolerance: Annotated[
        float | None, Query(ge=0, le=1, allow_inf_nan=False, description="Relative; else the assignment's.")
    ] = None,
) -> Response:
    """The latest re-run beside what was handed in: every value of the result, seed and versions. For staff."""
    return readable(request, await reruns.comparison(app, principal, assignment_id, user_id, tolerance))


@router.post(
    "/{assignment_id}/submissions/{user_id}/check",
    operation_id="check_submission",
    response_model=SubmissionRead,
    responses=problems(Forbidden, AssignmentNotFound, SubmissionNotFound, NoHiddenCheck, CourseArchived),
)
async def check_submission(app: TheApp, principal: Staff, assignment_id: AssignmentId, user_id: UserId) -> Response:
    """Run the hidden check of what was handed in again, as the assignment has it now. For staff."""
    return json_response(await service.check_again(app, principal, assignment_id, user_id))
