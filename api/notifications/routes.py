"""A user's notifications by mail and webhook."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import problems
from api.http.problems import BodyTooLarge, ChannelNotFound, InvalidRequest, MalformedBody, UnsupportedMediaType
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from api.notifications import service
from gpulab.schemas.notifications import NotificationsRead, NotificationsUpdate
from gpulab.states import Channel

router = APIRouter(prefix="/v1/me/notifications", tags=["users"], route_class=LabRoute)


@router.get("", operation_id="get_notifications", response_model=NotificationsRead)
async def get_notifications(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """Which notifications you get, how they arrive, and what could not be delivered."""
    return readable(request, await service.read(app, principal))


@router.patch(
    "",
    operation_id="change_notifications",
    response_model=NotificationsRead,
    responses=problems(MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest),
)
async def change_notifications(app: TheApp, principal: ThePrincipal, order: NotificationsUpdate) -> Response:
    """Turn notifications on or off. The address of a webhook is never shown again."""
    return json_response(await service.change(app, principal, order))


@router.post(
    "/{channel}/test",
    operation_id="test_notifications",
    response_model=NotificationsRead,
    responses=problems(ChannelNotFound, InvalidRequest),
)
async def test_notifications(
    app: TheApp, principal: ThePrincipal, channel: Annotated[Channel, Path(description="Where to.")]
) -> Response:
    """Send yourself a test message; at most one a minute."""
    return json_response(await service.ask_for_test(app, principal, channel))
