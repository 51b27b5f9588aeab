"""All that a user has, as one file."""

from contextlib import AsyncExitStack
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.exports import service
from api.exports.response import ExportResponse
from api.http.openapi import problems
from api.http.problems import Forbidden, UserNotFound
from api.http.routing import UserRoute
from api.results.files import SAFE_HEADERS, disposition

router = APIRouter(prefix="/v1/users", tags=["users"], route_class=UserRoute)


@router.get(
    "/{user_id}/export",
    operation_id="export_user",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(Forbidden, UserNotFound),
    },
)
async def export_user(app: TheApp, principal: ThePrincipal, user_id: UUID) -> Response:
    """All that a user has, as a zip: profile, runs, metrics, output, files, programs, submissions, released grades.

    Users export themselves, admins anybody. It has no secrets. `manifest.json` in it says what was left out, and why.
    """
    profile = await service.check(app, principal, user_id)
    headers = {**SAFE_HEADERS, "Content-Disposition": disposition(f"gpulab-{profile.name}.zip")}
    headers.pop("Accept-Ranges")
    async with AsyncExitStack() as turn:
        # Before the response begins: what is refused has its status then.
        await turn.enter_async_context(service.turn(app))
        await service.recorded(app, principal, user_id)
        pieces = await service.opened(app, principal, profile)
        return ExportResponse(pieces, turn.pop_all(), seconds=service.seconds(app), headers=headers)
