"""The machines."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.auth.principal import Admin
from api.context import TheApp
from api.http.openapi import problems
from api.http.problems import BodyTooLarge, Forbidden, MalformedBody, NodeInUse, NodeNotFound, UnsupportedMediaType
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from api.nodes import service
from gpulab.schemas import DrainOrder, GpuPage, NodeEventPage, NodePage, NodeRead, NodeTokenRead, RevokedRead
from gpulab.schemas.base import Line

router = APIRouter(prefix="/v1", tags=["nodes"], route_class=LabRoute)

NodeName = Annotated[Line, Path(examples=["gpu-1"])]


@router.get("/nodes", operation_id="list_nodes", response_model=NodePage)
async def list_nodes(request: Request, app: TheApp) -> Response:
    """Every node, what it has and what is taken of it."""
    return readable(request, await service.node_page(app))


@router.get("/gpus", operation_id="list_gpus", response_model=GpuPage)
async def list_gpus(request: Request, app: TheApp) -> Response:
    """Every GPU of every node, with its newest reading."""
    return readable(request, await service.gpu_page(app))


@router.post(
    "/nodes/{name}/drain",
    operation_id="drain_node",
    response_model=NodeRead,
    responses=problems(MalformedBody, Forbidden, NodeNotFound, BodyTooLarge, UnsupportedMediaType),
)
async def drain_node(app: TheApp, principal: Admin, name: NodeName, order: DrainOrder | None = None) -> Response:
    """Start no further job on the node; those that run go on. For admins."""
    reason = None if order is None else order.reason
    return json_response(await service.drain(app, principal, name, reason))


@router.post(
    "/nodes/{name}/undrain",
    operation_id="undrain_node",
    response_model=NodeRead,
    responses=problems(Forbidden, NodeNotFound),
)
async def undrain_node(app: TheApp, principal: Admin, name: NodeName) -> Response:
    """Take the node into service again as it is now, also when the lab itself had set it aside. For admins.

    Its GPUs count from now on as they are. Those that do not work, or are missing, are forgotten until they work again.
    """
    return json_response(await service.undrain(app, principal, name))


@router.delete(
    "/nodes/{name}",
    operation_id="remove_node",
    status_code=204,
    response_class=Response,
    responses=problems(Forbidden, NodeNotFound, NodeInUse),
)
async def remove_node(app: TheApp, principal: Admin, name: NodeName) -> Response:
    """Take a node that is down off the list, and revoke its tokens. Its runs and events are kept. For admins.

    If a worker of this name starts again, and the lab lets it in, the node is on the list again.
    """
    await service.remove(app, principal, name)
    return Response(status_code=204)


@router.get(
    "/nodes/{name}/events",
    operation_id="list_node_events",
    response_model=NodeEventPage,
    responses=problems(NodeNotFound),
)
async def list_node_events(request: Request, app: TheApp, name: NodeName) -> Response:
    """What happened to the node: drained, set aside with the reason, back; newest first."""
    return readable(request, await service.events(app, name))


@router.post(
    "/nodes/{name}/token",
    operation_id="make_node_token",
    response_model=NodeTokenRead,
    status_code=201,
    responses=problems(Forbidden, NodeNotFound),
)
async def make_node_token(app: TheApp, principal: Admin, name: NodeName) -> Response:
    """Make a token that admits a node of this name, which need not have joined. It is shown once. For admins."""
    return json_response(await service.make_token(app, principal, name), status=201)


@router.delete(
    "/nodes/{name}/token",
    operation_id="revoke_node_tokens",
    response_model=RevokedRead,
    responses=problems(Forbidden, NodeNotFound),
)
async def revoke_node_tokens(app: TheApp, principal: Admin, name: NodeName) -> Response:
    """Refuse every token of the node from now on. Where the lab asks for tokens it gets no further job. For admins."""
    return json_response(await service.revoke_tokens(app, principal, name))
