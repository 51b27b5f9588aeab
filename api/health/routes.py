"""Whether the lab works. Open to everybody: probes carry no token."""

from typing import ClassVar

from fastapi import APIRouter, Response

from api.context import TheApp
from api.health import service
from api.http.long_answers import Whole
from api.http.openapi import problems
from api.http.problems import NotReady
from api.http.rendering import json_response
from api.http.routing import OpenRoute
from gpulab.schemas import HealthRead, ReadyRead


class ProbeRoute(OpenRoute):
    """Probes may have other parameters."""

    takes_any_query: ClassVar[bool] = True


router = APIRouter(tags=["health"], route_class=ProbeRoute)

PLAIN = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/healthz", operation_id="get_health", response_model=HealthRead)
async def get_health() -> Response:
    """Whether this process answers."""
    return json_response(HealthRead(status="ok"))


@router.get("/readyz", operation_id="get_readiness", response_model=ReadyRead, responses=problems(NotReady))
async def get_readiness(app: TheApp) -> Response:
    """Whether every part that a job needs is there; a refusal names what is missing."""
    return json_response(await app.readiness.get(lambda: service.ready(app)))


@router.get("/metrics", operation_id="get_metrics", response_class=Response, responses={200: PLAIN})
async def get_metrics(app: TheApp) -> Response:
    """For Prometheus; computed at most once a second."""
    return Whole(await app.metrics.get(lambda: service.measure(app)), media_type=app.telemetry.content_type)
