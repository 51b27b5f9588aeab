"""Estimates: ask, read."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.estimates import accuracy, service
from api.http.openapi import headers, problems
from api.http.problems import (
    BodyTooLarge,
    EstimateNotFound,
    InvalidProgram,
    InvalidRequest,
    InvalidSpec,
    MalformedBody,
    TooManyEstimates,
    UnknownExperiment,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from gpulab.schemas import AccuracyRead, EstimateCreate, EstimateRead, EstimateState, GpuModelsRead

router = APIRouter(prefix="/v1/estimates", tags=["estimates"], route_class=LabRoute)

Wait = Annotated[
    float, Query(ge=0, allow_inf_nan=False, description="Seconds to hold the answer while it is being computed.")
]


@router.post(
    "",
    operation_id="ask_estimate",
    response_model=EstimateRead,
    responses={
        202: {
            "model": EstimateRead,
            "description": "A worker computes it; ask again at `Location`.",
            "headers": headers(Location="The estimate's address."),
        },
        **problems(
            MalformedBody,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            InvalidProgram,
            InvalidSpec,
            UnknownExperiment,
            TooManyEstimates,
        ),
    },
)
async def ask_estimate(app: TheApp, principal: ThePrincipal, order: EstimateCreate, wait: Wait = 0.0) -> Response:
    """Predict the peak of GPU memory of a run, and whether it fits into the lab's GPUs and into those named."""
    found = await service.ask(app, principal, order, wait)
    if found.state is EstimateState.PENDING:
        return json_response(found, status=202, headers={"Location": f"/v1/estimates/{found.id}", "Retry-After": "1"})
    return json_response(found)


@router.get("/gpus", operation_id="list_gpu_models", response_model=GpuModelsRead)
async def list_gpu_models(request: Request) -> Response:
    """The GPU models that an estimate can name besides the lab's own."""
    return readable(request, service.gpu_models())


@router.get("/accuracy", operation_id="get_estimate_accuracy", response_model=AccuracyRead)
async def get_estimate_accuracy(request: Request, app: TheApp) -> Response:
    """How far the lab's predictions were off, by model family and GPU model, and the margin that follows."""
    return readable(request, await accuracy.read(app))


@router.get(
    "/{estimate_id}", operation_id="get_estimate", response_model=EstimateRead, responses=problems(EstimateNotFound)
)
async def get_estimate(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    estimate_id: Annotated[UUID, Path(description="The estimate's id.")],
    wait: Wait = 0.0,
) -> Response:
    """One estimate, with a verdict for each GPU that anybody asked about. With `wait`, held while it is pending."""
    return readable(request, await service.get(app, principal, estimate_id, wait))
