"""Studies: many runs that answer one question."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http import etag
from api.http.long_answers import Whole
from api.http.openapi import headers, problems
from api.http.parameters import Cursor, Limit, OfCourse, Shared, Words
from api.http.problems import (
    AnswersHeldBack,
    ArtifactNotFound,
    ArtifactQuotaReached,
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidProgram,
    InvalidRequest,
    InvalidSpec,
    InvalidStudy,
    MalformedBody,
    QueueLimitReached,
    ReportFailed,
    StudyChanged,
    StudyNotFound,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from api.jobs.routes import IdempotencyKey
from api.studies import effects, reading, reports, service
from gpulab.schemas import (
    SeedsAdd,
    ShareOrder,
    StudyCreate,
    StudyEffectsRead,
    StudyPage,
    StudyRead,
    StudyReportRead,
)

router = APIRouter(prefix="/v1/studies", tags=["studies"], route_class=LabRoute)

StudyId = Annotated[UUID, Path(description="The study's id.")]
Wait = Annotated[float, Query(ge=0, allow_inf_nan=False, description="Seconds to hold the answer.")]
BODY = (MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest)
RETRY_AFTER_SECONDS = 2
MAX_EFFECTS = 8
"""Results of one request for effects."""
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""A report is a page that stands alone: its own style, its images inside, no script."""


class ReportFormat(StrEnum):
    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"


FILES = {
    ReportFormat.HTML: ("report.html", "text/html; charset=utf-8"),
    ReportFormat.MARKDOWN: ("report.md", "text/markdown; charset=utf-8"),
    ReportFormat.JSON: ("findings.json", "application/json"),
}


@router.post(
    "",
    operation_id="submit_study",
    status_code=201,
    response_model=StudyRead,
    responses={
        200: {"model": StudyRead, "description": "The first study with this key."},
        201: {"headers": headers(Location="The study's address.")},
        **problems(
            *BODY,
            IdempotencyKeyReused,
            QueueLimitReached,
            ArtifactQuotaReached,
            InvalidStudy,
            InvalidProgram,
            InvalidSpec,
            CourseArchived,
        ),
    },
)
async def submit_study(
    app: TheApp, principal: ThePrincipal, order: StudyCreate, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queue every run of a template or of a grid, all at once; runs of yours that are done already are taken over."""
    study, new = await service.submit(app, principal, order, idempotency_key)
    return json_response(study.content, status=201 if new else 200, headers={"Location": f"/v1/studies/{study.id}"})


@router.get(
    "", operation_id="list_studies", response_model=StudyPage, responses=problems(InvalidRequest, InvalidCursor)
)
async def list_studies(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    owner: Annotated[Words, Query(description="Name, e-mail address or id of a user.")] = None,
    text: Annotated[Words, Query(description="Part of the name, the title or the template.")] = None,
    course: OfCourse = None,
    shared: Shared = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Studies, newest first. Students see their own, or those shared with them."""
    filters = reading.StudyFilters(shared, owner, text, course)
    return readable(request, await reading.page(app, principal, cursor, limit, filters))


@router.get("/{study_id}", operation_id="get_study", response_model=StudyRead, responses=problems(StudyNotFound))
async def get_study(
    request: Request, app: TheApp, principal: ThePrincipal, study_id: StudyId, wait: Wait = 0.0
) -> Response:
    """One study and what its runs say so far. With `wait`, held until it changes, as a job is."""
    seen = request.headers.get("if-none-match")
    study, tag = await reading.get_when_changed(app, principal, study_id, wait, seen)
    return readable(request, study, etag=tag)


@router.get(
    "/{study_id}/effects",
    operation_id="get_study_effects",
    response_model=StudyEffectsRead,
    responses=problems(InvalidRequest, StudyNotFound),
)
async def get_study_effects(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    study_id: StudyId,
    experiment: Annotated[
        str | None, Query(max_length=200, description="Compare its runs; by default those of the first.")
    ] = None,
    result: Annotated[
        list[Annotated[str, Query(max_length=200)]],
        Query(max_length=MAX_EFFECTS, description="Numbers of the results; by default the first two."),
    ] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """What each field does to a result: every run, the mean at each value, and the share of the variance."""
    seen = request.headers.get("if-none-match")
    found, tag = await effects.get_when_changed(app, principal, study_id, experiment, result, seen)
    return readable(request, found, etag=tag)


@router.post(
    "/{study_id}/cancel",
    operation_id="cancel_study",
    status_code=202,
    response_model=StudyRead,
    responses=problems(Forbidden, StudyNotFound),
)
async def cancel_study(app: TheApp, principal: ThePrincipal, study_id: StudyId) -> Response:
    """Ask for the end of every run that is not final; asking again changes nothing."""
    return json_response((await service.cancel(app, principal, study_id)).content, status=202)


@router.post(
    "/{study_id}/retry",
    operation_id="retry_study",
    response_model=StudyRead,
    responses=problems(Forbidden, StudyNotFound, QueueLimitReached, ArtifactQuotaReached, CourseArchived),
)
async def retry_study(app: TheApp, principal: ThePrincipal, study_id: StudyId) -> Response:
    """Put new jobs in the place of runs that failed or were cancelled; the next report is made anew."""
    return json_response((await service.retry(app, principal, study_id)).content)


@router.post(
    "/{study_id}/seeds",
    operation_id="add_study_seeds",
    response_model=StudyRead,
    responses=problems(
        *BODY,
        Forbidden,
        StudyNotFound,
        StudyChanged,
        InvalidStudy,
        QueueLimitReached,
        ArtifactQuotaReached,
        CourseArchived,
    ),
)
async def add_study_seeds(app: TheApp, principal: ThePrincipal, study_id: StudyId, order: SeedsAdd) -> Response:
    """Add seeds; the runs that are there stay."""
    return json_response((await service.add_seeds(app, principal, study_id, order)).content)


@router.post(
    "/{study_id}/share",
    operation_id="share_study",
    response_model=StudyRead,
    responses=problems(*BODY, Forbidden, StudyNotFound, CourseArchived),
)
async def share_study(app: TheApp, principal: ThePrincipal, study_id: StudyId, order: ShareOrder) -> Response:
    """Let your team or the class read the study, its report and its runs; null takes it back."""
    return json_response((await service.share(app, principal, study_id, order)).content)


@router.get(
    "/{study_id}/report",
    operation_id="get_study_report",
    response_class=Response,
    responses={
        200: {
            "description": "The report.",
            "content": {
                media.partition(";")[0]: {"schema": {"type": "object" if form is ReportFormat.JSON else "string"}}
                for form, (_, media) in FILES.items()
            },
        },
        202: {
            "model": StudyReportRead,
            "description": "It is not ready yet.",
            "headers": headers(Retry_After="Seconds."),
        },
        **problems(
            StudyNotFound, AnswersHeldBack, ArtifactNotFound, ReportFailed, QueueLimitReached, ArtifactQuotaReached
        ),
    },
)
async def get_study_report(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    study_id: StudyId,
    form: Annotated[ReportFormat, Query(alias="format", description="A page, Markdown, or findings.json.")] = (
        ReportFormat.HTML
    ),
    wait: Wait = 0.0,
) -> Response:
    """The report once every run is final, made at the first request for it; its job is `report_job_id`."""
    name, media_type = FILES[form]
    found = await reports.report(app, principal, study_id, name, wait)
    if isinstance(found, StudyReportRead):
        return json_response(found, status=202, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    tag = f'"{found.sha256}"'
    kept = {"ETag": tag, "Cache-Control": etag.PRIVATE, "Vary": etag.VARY}
    if etag.matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    safe = {"Content-Security-Policy": PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
    return Whole(found.body, headers=kept | safe, media_type=media_type)
