"""What runs recorded, printed and kept."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import headers, problems
from api.http.parameters import JobId, MaxPoints
from api.http.problems import AnswersHeldBack, ArtifactNotFound, JobNotFound, RangeNotSatisfiable
from api.http.rendering import readable
from api.http.routing import LabRoute
from api.results import files, series
from gpulab.schemas import ArtifactPage, LogRead, MetricsRead, SamplesRead

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=LabRoute)

BYTES = {"schema": {"type": "string", "format": "binary"}}


@router.get("/metrics", operation_id="get_job_metrics", response_model=MetricsRead, responses=problems(JobNotFound))
async def get_job_metrics(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    job_id: JobId,
    names: Annotated[
        list[str] | None,
        Query(max_length=100, description="Only these names; repeat it, or separate names with commas."),
    ] = None,
    after_step: Annotated[int | None, Query(ge=-(2**63), lt=2**63, description="Only later steps.")] = None,
    after: Annotated[
        str | None,
        Query(
            pattern=r"^[0-9]{1,18}-[0-9]{1,18}$",
            description="The `cursor` of an earlier response for the same names: only what was recorded after it.",
        ),
    ] = None,
    max_points: MaxPoints = None,
) -> Response:
    """The scalars that the run recorded, one series a metric."""
    wanted = None if names is None else series.split_names(names)
    body = await series.metrics(
        app, principal, job_id, names=wanted, after_step=after_step, after=after, max_points=max_points
    )
    return readable(request, body)


@router.get("/samples", operation_id="get_job_samples", response_model=SamplesRead, responses=problems(JobNotFound))
async def get_job_samples(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    job_id: JobId,
    max_points: MaxPoints = None,
) -> Response:
    """Memory and utilisation over time: device, process and allocator on one time axis."""
    return readable(request, await series.samples(app, principal, job_id, max_points=max_points))


@router.get(
    "/logs", operation_id="get_job_logs", response_model=LogRead, responses=problems(JobNotFound, AnswersHeldBack)
)
async def get_job_logs(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    job_id: JobId,
    offset: Annotated[
        int, Query(gt=-(2**63), lt=2**63, description="First byte; a negative number counts from the end.")
    ] = 0,
    limit: Annotated[int, Query(ge=4, le=2**20, description="Maximum number of bytes.")] = 2**16,
) -> Response:
    """A piece of what the run printed; go on at `next_offset`."""
    return readable(request, await files.logs(app, principal, job_id, offset, limit))


@router.get(
    "/artifacts", operation_id="list_job_artifacts", response_model=ArtifactPage, responses=problems(JobNotFound)
)
async def list_job_artifacts(request: Request, app: TheApp, principal: ThePrincipal, job_id: JobId) -> Response:
    """The files that the run kept."""
    return readable(request, await files.artifacts(app, principal, job_id))


@router.get(
    "/artifacts/{name}",
    operation_id="get_job_artifact",
    response_class=Response,
    responses={
        200: {
            "description": "The file.",
            "content": {"application/octet-stream": BYTES},
            "headers": headers(ETag="SHA-256 of the file.", Content_Disposition="A safe name to save it under."),
        },
        206: {
            "description": "The requested range.",
            "content": {"application/octet-stream": BYTES},
            "headers": headers(Content_Range="The range of bytes, and the size of the file."),
        },
        **problems(JobNotFound, ArtifactNotFound, AnswersHeldBack, RangeNotSatisfiable),
    },
)
async def get_job_artifact(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    job_id: JobId,
    name: Annotated[str, Path(max_length=200)],
) -> Response:
    """One file, or a range of its bytes (`Range`, `If-Range`)."""
    return await files.download(app, principal, request, job_id, name)
