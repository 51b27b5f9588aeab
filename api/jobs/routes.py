"""Jobs: submit, read, list, cancel, try again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import headers, problems
from api.http.parameters import Cursor, JobId, Limit, OfCourse, Shared, Words
from api.http.problems import (
    ArtifactQuotaReached,
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidProgram,
    InvalidRequest,
    InvalidSpec,
    JobAlreadyFinished,
    JobNotFinished,
    JobNotFound,
    MalformedBody,
    QueueLimitReached,
    TooManyEstimates,
    UnknownExperiment,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from api.jobs import history, service
from api.jobs.listing import service as listing
from api.labels import service as labels
from gpulab.schemas import DryRunRead, EventPage, JobCreate, JobPage, JobRead, JobUpdate, QueueRead, ShareOrder
from gpulab.schemas.base import Tag
from gpulab.states import JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=LabRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Sending the same submission again with the same key returns the first job.",
    ),
]


@router.post(
    "",
    operation_id="submit_job",
    status_code=201,
    response_model=JobRead,
    responses={
        200: {"model": JobRead | DryRunRead, "description": "The first job with this key, or the result of a dry run."},
        201: {"headers": headers(Location="The job's address.")},
        **problems(
            MalformedBody,
            IdempotencyKeyReused,
            QueueLimitReached,
            ArtifactQuotaReached,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            InvalidProgram,
            InvalidSpec,
            UnknownExperiment,
            TooManyEstimates,
            CourseArchived,
        ),
    },
)
async def submit_job(
    app: TheApp,
    principal: ThePrincipal,
    order: JobCreate,
    dry_run: Annotated[bool, Query(description="Only check the submission, and return what would be stored.")] = False,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue one experiment. What the spec leaves out takes its default and is stored."""
    if dry_run:
        return json_response(await service.dry_run(app, principal, order))
    job, new = await service.submit(app, principal, order, idempotency_key)
    return json_response(job, status=201 if new else 200, headers={"Location": f"/v1/jobs/{job.id}"})


@router.get("", operation_id="list_jobs", response_model=JobPage, responses=problems(InvalidRequest, InvalidCursor))
async def list_jobs(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    state: Annotated[list[JobState] | None, Query(max_length=20, description="May be repeated.")] = None,
    experiment: Words = None,
    owner: Annotated[Words, Query(description="Name, e-mail address or id of a user.")] = None,
    tag: Annotated[Tag | None, Query()] = None,
    text: Annotated[
        Words, Query(description="Part of the name, the experiment or the note. A page looks through 10,000 jobs.")
    ] = None,
    study: Annotated[UUID | None, Query(description="Runs of this study, reused ones too.")] = None,
    course: OfCourse = None,
    shared: Shared = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Jobs, newest first. Students see their own, or those shared with them."""
    filters = listing.JobFilters(tuple(state or ()), experiment, owner, tag, text, study, shared, course=course)
    return readable(request, await listing.page(app, principal, filters, cursor, limit))


@router.get("/{job_id}", operation_id="get_job", response_model=JobRead, responses=problems(JobNotFound))
async def get_job(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    job_id: JobId,
    wait: Annotated[
        float, Query(ge=0, allow_inf_nan=False, description="Seconds to hold the response until the job changes.")
    ] = 0.0,
) -> Response:
    """One job. With `wait`, held until it differs from `If-None-Match`, or from what it is now."""
    job, tag = await service.get_when_changed(app, principal, job_id, wait, request.headers.get("if-none-match"))
    return readable(request, job, etag=tag)


@router.patch(
    "/{job_id}",
    operation_id="change_job",
    response_model=JobRead,
    responses=problems(
        MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest, Forbidden, JobNotFound, CourseArchived
    ),
)
async def change_job(app: TheApp, principal: ThePrincipal, job_id: JobId, order: JobUpdate) -> Response:
    """Give the job another name, other tags or a note."""
    return json_response(await labels.change(app, principal, job_id, order))


@router.post(
    "/{job_id}/cancel",
    operation_id="cancel_job",
    status_code=202,
    response_model=JobRead,
    responses=problems(Forbidden, JobNotFound, JobAlreadyFinished),
)
async def cancel_job(app: TheApp, principal: ThePrincipal, job_id: JobId) -> Response:
    """Ask for the job's end. A running one gets time for a checkpoint; asking again changes nothing."""
    return json_response(await service.cancel(app, principal, job_id), status=202)


@router.post(
    "/{job_id}/retry",
    operation_id="retry_job",
    status_code=201,
    response_model=JobRead,
    responses={
        201: {"headers": headers(Location="The new job's address.")},
        **problems(Forbidden, JobNotFound, JobNotFinished, QueueLimitReached, ArtifactQuotaReached, CourseArchived),
    },
)
async def retry_job(app: TheApp, principal: ThePrincipal, job_id: JobId) -> Response:
    """Submit a final job's order again, as a new job that names the first in `retry_of`."""
    job = await service.retry(app, principal, job_id)
    return json_response(job, status=201, headers={"Location": f"/v1/jobs/{job.id}"})


@router.post(
    "/{job_id}/share",
    operation_id="share_job",
    response_model=JobRead,
    responses=problems(
        MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest, Forbidden, JobNotFound, CourseArchived
    ),
)
async def share_job(app: TheApp, principal: ThePrincipal, job_id: JobId, order: ShareOrder) -> Response:
    """Let your team or the class read the job and all it recorded; null takes it back."""
    return json_response(await service.share(app, principal, job_id, order))


@router.get("/{job_id}/queue", operation_id="get_job_queue", response_model=QueueRead, responses=problems(JobNotFound))
async def get_job_queue(request: Request, app: TheApp, principal: ThePrincipal, job_id: JobId) -> Response:
    """Why the job waits, in words and in fields."""
    return readable(request, await history.queue(app, principal, job_id))


@router.get(
    "/{job_id}/events",
    operation_id="list_job_events",
    response_model=EventPage,
    responses=problems(JobNotFound, InvalidRequest, InvalidCursor),
)
async def list_job_events(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    job_id: JobId,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """The job's history, oldest first."""
    return readable(request, await history.events(app, principal, job_id, cursor, limit))
