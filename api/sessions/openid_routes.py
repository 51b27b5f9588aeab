"""Signing in through a university's own accounts."""

from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Request, Response

from api.context import TheApp
from api.http.base_path import base_url, cookies_of
from api.http.openapi import headers, problems
from api.http.problems import InvalidRequest, OpenidNotConfigured, OpenidRefused, OpenidUnavailable, Unavailable
from api.http.rendering import json_response
from api.http.routing import OpenRoute
from api.sessions import openid_service, service
from gpulab.schemas import OpenIdRead

LOCAL_PATH = r"^/([\x21-\x2e\x30-\x5b\x5d-\x7e][\x21-\x5b\x5d-\x7e]*)?$"
"""Neither `//host` nor a backslash, which browsers read as one."""
PATH = "/v1/openid"
REDIRECT = {
    "description": "Go there.",
    "headers": headers(Location="Where.", Set_Cookie="Value that the provider sends back."),
}


class ProviderRoute(OpenRoute):
    """Called through the provider, which adds its own parameters."""

    takes_any_query: ClassVar[bool] = True
    instead_of_values: ClassVar[str | None] = "the provider's answer is not valid"


router = APIRouter(prefix=PATH, tags=["sessions"], route_class=OpenRoute)
returning = APIRouter(prefix=PATH, tags=["sessions"], route_class=ProviderRoute)
Text = Annotated[str | None, Query(max_length=4000)]


@router.get("", operation_id="get_openid", response_model=OpenIdRead, responses=problems(Unavailable))
async def get_openid(request: Request, app: TheApp) -> Response:
    """Whether there is a sign-in through a university, and where it begins."""
    configured = app.openid.configured
    start = f"{request.scope.get('root_path', '')}{PATH}/start"
    return json_response(OpenIdRead(configured=configured, start=start if configured else None))


@router.get(
    "/start",
    operation_id="start_openid",
    status_code=303,
    response_class=Response,
    responses={303: REDIRECT, **problems(InvalidRequest, OpenidNotConfigured, OpenidUnavailable)},
)
async def start_openid(
    request: Request,
    app: TheApp,
    then: Annotated[str, Query(max_length=500, pattern=LOCAL_PATH, description="Path to return to.")] = "/",
) -> Response:
    """Send the browser to the provider."""
    url, visit = await app.openid.begin(f"{base_url(request)}{PATH}/callback", then)
    response = Response(status_code=303, headers={"Location": url, "Cache-Control": "no-store"})
    cookies = cookies_of(request)
    path = f"{cookies.path.rstrip('/')}{PATH}"
    # Lax: the provider's redirect is a visit from another site.
    response.set_cookie(
        cookies.openid, visit, max_age=600, path=path, httponly=True, secure=cookies.secure, samesite="lax"
    )
    return response


@returning.get(
    "/callback",
    operation_id="finish_openid",
    status_code=303,
    response_class=Response,
    responses={303: REDIRECT, **problems(InvalidRequest, OpenidNotConfigured, OpenidRefused, OpenidUnavailable)},
)
async def finish_openid(
    request: Request, app: TheApp, state: Text = None, code: Text = None, error: Text = None
) -> Response:
    """Where the provider sends the browser back to: opens a session and goes on."""
    if error is not None or not code or not state:
        raise OpenidRefused(f"the provider refused: {(error or 'it sent no code')[:200]}")
    statement, then = await app.openid.finish(request.cookies.get(cookies_of(request).openid), state, code)
    principal = await openid_service.principal_of(app, request, statement)
    _, secret, ends = await service.open_session(app, principal, how="openid")
    response = Response(status_code=303, headers={"Location": then})
    service.set_cookies(request, response, secret, ends)
    cookies = cookies_of(request)
    response.delete_cookie(cookies.openid, path=f"{cookies.path.rstrip('/')}{PATH}", httponly=True, samesite="lax")
    return response
