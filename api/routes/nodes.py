"""The machines."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.auth import Admin
from api.context import TheLab
from api.openapi import problems
from api.problems import BodyTooLarge, Forbidden, MalformedBody, NodeNotFound, UnsupportedMediaType
from api.rendering import json_response, readable
from api.routing import LabRoute
from api.services import nodes
from gpulab.schemas import DrainOrder, GpuPage, NodePage, NodeRead
from gpulab.schemas.base import Line

router = APIRouter(prefix="/v1", tags=["nodes"], route_class=LabRoute)

NodeName = Annotated[Line, Path(examples=["gpu-1"])]


@router.get("/nodes", operation_id="list_nodes", response_model=NodePage)
async def list_nodes(request: Request, lab: TheLab) -> Response:
    """Every node, what it has and what is taken of it."""
    return readable(request, await nodes.node_page(lab))


@router.get("/gpus", operation_id="list_gpus", response_model=GpuPage)
async def list_gpus(request: Request, lab: TheLab) -> Response:
    """Every GPU of every node, with its newest reading."""
    return readable(request, await nodes.gpu_page(lab))


@router.post(
    "/nodes/{name}/drain",
    operation_id="drain_node",
    response_model=NodeRead,
    responses=problems(MalformedBody, Forbidden, NodeNotFound, BodyTooLarge, UnsupportedMediaType),
)
async def drain_node(lab: TheLab, principal: Admin, name: NodeName, order: DrainOrder | None = None) -> Response:
    """Start no further job on the node; those that run go on. For admins."""
    reason = None if order is None else order.reason
    return json_response(await nodes.drain(lab, principal, name, draining=True, reason=reason))


@router.post(
    "/nodes/{name}/undrain",
    operation_id="undrain_node",
    response_model=NodeRead,
    responses=problems(Forbidden, NodeNotFound),
)
async def undrain_node(lab: TheLab, principal: Admin, name: NodeName) -> Response:
    """Let jobs start on the node again. For admins."""
    return json_response(await nodes.drain(lab, principal, name, draining=False, reason=None))
