"""Grades: by hand, by the hidden check, or by a re-run; as tables for other platforms; and re-runs of a whole class."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.principal import Staff, ThePrincipal
from api.context import TheApp
from api.grades import reruns, service
from api.http.openapi import problems
from api.http.parameters import Cursor, Limit, Words
from api.http.problems import (
    ArtifactQuotaReached,
    AssignmentNotFound,
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    GradeNotFound,
    InvalidCursor,
    InvalidRequest,
    MalformedBody,
    QueueLimitReached,
    UnsupportedMediaType,
    UserNotFound,
)
from api.http.rendering import csv_response, json_response, readable
from api.http.routing import LabRoute
from gpulab.schemas.assignments.grades import (
    GradeColumns,
    GradeDetail,
    GradeOrder,
    GradePage,
    GradeRead,
    GradesImport,
    GradesImported,
    RerunsOrder,
    RerunsRead,
    RerunsStarted,
)

router = APIRouter(prefix="/v1/assignments", tags=["assignments"], route_class=LabRoute)

AssignmentId = Annotated[UUID, Path(description="The assignment's id.")]
UserId = Annotated[UUID, Path(description="The student's id.")]
BODY = (MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest)


@router.get(
    "/{assignment_id}/grade",
    operation_id="get_own_grade",
    response_model=GradeRead,
    responses=problems(AssignmentNotFound, GradeNotFound),
)
async def get_own_grade(
    request: Request, app: TheApp, principal: ThePrincipal, assignment_id: AssignmentId
) -> Response:
    """Your grade, once grades are released."""
    return readable(request, await service.own(app, principal, assignment_id))


@router.get(
    "/{assignment_id}/grades",
    operation_id="list_grades",
    response_model=GradePage,
    responses=problems(Forbidden, AssignmentNotFound, InvalidCursor),
)
async def list_grades(
    request: Request,
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    text: Annotated[Words, Query(description="Part of a student's name or email address.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The class by name: points, whose they are, what each source says, and what late days cost. For staff."""
    return readable(request, await service.page(app, principal, assignment_id, text, cursor, limit))


@router.get(
    "/{assignment_id}/grades.csv",
    operation_id="get_grade_table",
    response_class=Response,
    responses={
        200: {"description": "The table.", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **problems(Forbidden, AssignmentNotFound, InvalidRequest),
    },
)
async def get_grade_table(
    request: Request,
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    columns: Annotated[GradeColumns, Query(description="The platform whose columns the table has.")] = "lab",
) -> Response:
    """The class as CSV, for a spreadsheet or in the columns of Canvas, Moodle or Gradescope. For staff."""
    return csv_response(request, await service.table(app, principal, assignment_id, columns))


@router.post(
    "/{assignment_id}/grades/import",
    operation_id="import_grades",
    response_model=GradesImported,
    responses=problems(*BODY, Forbidden, AssignmentNotFound, CourseArchived),
)
async def import_grades(app: TheApp, principal: Staff, assignment_id: AssignmentId, order: GradesImport) -> Response:
    """Grades by hand from a table: all of it, or nothing where a line is wrong. For staff."""
    return json_response(await service.bring_in(app, principal, assignment_id, order))


@router.get(
    "/{assignment_id}/grades/{user_id}",
    operation_id="get_grade",
    response_model=GradeDetail,
    responses=problems(Forbidden, AssignmentNotFound, UserNotFound),
)
async def get_grade(
    request: Request,
    app: TheApp,
    principal: Staff,
    assignment_id: AssignmentId,
    user_id: UserId,
) -> Response:
    """One student's grade, what each source says, and all grades by hand. For staff."""
    return readable(request, await service.detail(app, principal, assignment_id, user_id))


@router.put(
    "/{assignment_id}/grades/{user_id}",
    operation_id="give_grade",
    response_model=GradeDetail,
    responses=problems(*BODY, Forbidden, AssignmentNotFound, UserNotFound, CourseArchived),
)
async def give_grade(
    app: TheApp, principal: Staff, assignment_id: AssignmentId, user_id: UserId, order: GradeOrder
) -> Response:
    """Grade by hand, in the place of the grade by hand before. For staff."""
    return json_response(await service.give(app, principal, assignment_id, user_id, order))


@router.delete(
    "/{assignment_id}/grades/{user_id}",
    operation_id="remove_grade",
    status_code=204,
    response_class=Response,
    responses=problems(Forbidden, AssignmentNotFound, UserNotFound, GradeNotFound, CourseArchived),
)
async def remove_grade(app: TheApp, principal: Staff, assignment_id: AssignmentId, user_id: UserId) -> Response:
    """Take the grade by hand back: the check or the re-run counts again. For staff."""
    await service.remove(app, principal, assignment_id, user_id)
    return Response(status_code=204)


@router.get(
    "/{assignment_id}/reruns",
    operation_id="get_reruns",
    response_model=RerunsRead,
    responses=problems(Forbidden, AssignmentNotFound),
)
async def get_reruns(request: Request, app: TheApp, principal: Staff, assignment_id: AssignmentId) -> Response:
    """How many submissions were run again, and with what outcome. For staff."""
    return readable(request, await reruns.progress(app, principal, assignment_id))


@router.post(
    "/{assignment_id}/reruns",
    operation_id="rerun_submissions",
    response_model=RerunsStarted,
    responses=problems(*BODY, Forbidden, AssignmentNotFound, QueueLimitReached, ArtifactQuotaReached, CourseArchived),
)
async def rerun_submissions(app: TheApp, principal: Staff, assignment_id: AssignmentId, order: RerunsOrder) -> Response:
    """Run the next submissions again, as jobs of yours: call again until `next_after` is null. For staff."""
    return json_response(await reruns.start(app, principal, assignment_id, order))
