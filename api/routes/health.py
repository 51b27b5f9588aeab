"""Whether the lab works. Open to everybody: probes carry no token."""

from fastapi import APIRouter, Response

from api.context import TheLab
from api.openapi import problems
from api.problems import NotReady
from api.rendering import json_response
from api.services import health
from gpulab.schemas import HealthRead, ReadyRead

router = APIRouter(tags=["health"])

PLAIN = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/healthz", operation_id="get_health", response_model=HealthRead)
async def get_health() -> Response:
    """Whether this process answers."""
    return json_response(HealthRead(status="ok"))


@router.get("/readyz", operation_id="get_readiness", response_model=ReadyRead, responses=problems(NotReady))
async def get_readiness(lab: TheLab) -> Response:
    """Whether every part that a job needs is there; a refusal names what is missing."""
    return json_response(await health.ready(lab))


@router.get("/metrics", operation_id="get_metrics", response_class=Response, responses={200: PLAIN})
async def get_metrics(lab: TheLab) -> Response:
    """For Prometheus."""
    return Response(await health.measure(lab), media_type=lab.telemetry.content_type)
