"""Deleting runs and studies."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.deletion import service
from api.http.openapi import problems
from api.http.parameters import JobId
from api.http.problems import (
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    InvalidRequest,
    JobNotDeletable,
    JobNotFound,
    MalformedBody,
    StudyNotFinished,
    StudyNotFound,
    UnsupportedMediaType,
)
from api.http.rendering import json_response
from api.http.routing import LabRoute
from gpulab.schemas import JobsDelete, JobsDeleted, StudyDeleted

router = APIRouter(prefix="/v1", route_class=LabRoute)


@router.post(
    "/jobs/delete",
    operation_id="delete_jobs",
    tags=["jobs"],
    response_model=JobsDeleted,
    responses=problems(MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest),
)
async def delete_jobs(app: TheApp, principal: ThePrincipal, order: JobsDelete) -> Response:
    """Delete runs that are over, with all they recorded. Those that cannot be deleted are named with the reason."""
    return json_response(await service.delete_runs(app, principal, order.job_ids))


@router.delete(
    "/jobs/{job_id}",
    operation_id="delete_job",
    tags=["jobs"],
    status_code=204,
    responses=problems(Forbidden, JobNotFound, JobNotDeletable),
)
async def delete_job(app: TheApp, principal: ThePrincipal, job_id: JobId) -> Response:
    """Delete a run that is over, with its metrics, output and files. Not one that was handed in, or whose study runs.

    Its storage is free at once. What it used of the lab still counts.
    """
    await service.delete_run(app, principal, job_id)
    return Response(status_code=204)


@router.delete(
    "/studies/{study_id}",
    operation_id="delete_study",
    tags=["studies"],
    response_model=StudyDeleted,
    responses=problems(Forbidden, StudyNotFound, StudyNotFinished, CourseArchived),
)
async def delete_study(app: TheApp, principal: ThePrincipal, study_id: UUID) -> Response:
    """Delete a study that is over, with its runs and its reports. Runs that were handed in or reused elsewhere stay."""
    return json_response(await service.delete_study(app, principal, study_id))
