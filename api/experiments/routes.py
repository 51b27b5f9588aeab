"""The catalogue."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.answers import service as answers
from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.experiments import service
from api.http.openapi import problems
from api.http.problems import ExperimentNotFound
from api.http.rendering import readable
from api.http.routing import LabRoute
from gpulab.schemas import ExperimentDetail, ExperimentPage

PICTURE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=3600",
}

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], route_class=LabRoute)


@router.get("", operation_id="list_experiments", response_model=ExperimentPage)
async def list_experiments(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """Every experiment, and the plug-ins that could not be loaded."""
    held = await answers.holding(app, principal)
    return readable(request, answers.page_without_answers(held, service.page()) if held else service.page())


@router.get(
    "/{slug}",
    operation_id="get_experiment",
    response_model=ExperimentDetail,
    responses=problems(ExperimentNotFound),
)
async def get_experiment(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    slug: Annotated[str, Path(max_length=200, examples=["dropout-linear"])],
) -> Response:
    """One experiment: the JSON Schemas of its spec and its result, its metrics with units."""
    held = await answers.holding(app, principal)
    return readable(request, answers.detail_without_answers(held, service.detail(slug)))


@router.get(
    "/{slug}/picture",
    operation_id="get_experiment_picture",
    response_class=Response,
    responses={
        200: {"description": "The picture.", "content": {"image/svg+xml": {"schema": {"type": "string"}}}},
        **problems(ExperimentNotFound),
    },
)
async def get_experiment_picture(
    _: ThePrincipal, slug: Annotated[str, Path(max_length=200, examples=["dropout-linear"])]
) -> Response:
    """The picture of an experiment for the catalogue, an SVG. It may run no script, wherever it is opened."""
    return Response(service.picture(slug), headers=PICTURE_HEADERS, media_type="image/svg+xml")
