"""Signing in through a university's own accounts."""

from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Annotated, ClassVar

import structlog
from fastapi import APIRouter, Query, Request, Response

from api.context import App, TheApp
from api.http.base_path import Cookies, base_url, cookies_of
from api.http.openapi import headers, problems
from api.http.problems import (
    InvalidRequest,
    OpenidNotConfigured,
    OpenidRefused,
    OpenidUnavailable,
    Refusal,
    Unavailable,
)
from api.http.rendering import json_response
from api.http.routing import Handler, OpenRoute
from api.sessions import openid_service, service
from api.web.plain_page import plain_page
from gpulab.schemas import OpenIdRead
from gpulab.schemas.base import in_words
from gpulab.words import sentence

if TYPE_CHECKING:
    from api.sessions.openid import OpenId

LOCAL_PATH = r"^/([\x21-\x2e\x30-\x5b\x5d-\x7e][\x21-\x5b\x5d-\x7e]*)?$"
"""Neither `//host` nor a backslash, which browsers read as one."""
PATH = "/v1/openid"
log = structlog.get_logger()
REDIRECT = {
    "description": "Go there.",
    "headers": headers(Location="Where.", Set_Cookie="Value that the provider sends back."),
}


class VisitedRoute(OpenRoute):
    """Visited by a browser on its way to the provider and back: its user reads a page where the lab refuses."""

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def visited(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refused:
                if "text/html" not in request.headers.get("accept", ""):
                    raise
                log.info("request.refused", problem=refused.slug, detail=refused.detail)
                text = f"<p>{escape(sentence(refused.detail))}</p>"
                return plain_page(request, refused.status, refused.title, text)

        return visited


class ProviderRoute(VisitedRoute):
    """Called through the provider, which adds its own parameters."""

    takes_any_query: ClassVar[bool] = True
    instead_of_values: ClassVar[str | None] = "the provider's answer is not valid"


router = APIRouter(prefix=PATH, tags=["sessions"], route_class=OpenRoute)
starting = APIRouter(prefix=PATH, tags=["sessions"], route_class=VisitedRoute)
returning = APIRouter(prefix=PATH, tags=["sessions"], route_class=ProviderRoute)
Text = Annotated[str | None, Query(max_length=4000)]


@router.get("", operation_id="get_openid", response_model=OpenIdRead, responses=problems(Unavailable))
async def get_openid(request: Request, app: TheApp) -> Response:
    """Whether there is a sign-in through a university, and where it begins."""
    configured = app.openid is not None
    start = f"{request.scope.get('root_path', '')}{PATH}/start"
    return json_response(OpenIdRead(configured=configured, start=start if configured else None))


@starting.get(
    "/start",
    operation_id="start_openid",
    status_code=303,
    response_class=Response,
    responses={303: REDIRECT, **problems(InvalidRequest, OpenidNotConfigured, OpenidUnavailable)},
)
async def start_openid(
    request: Request,
    app: TheApp,
    then: Annotated[
        str,
        Query(max_length=500, pattern=LOCAL_PATH, description="Path to return to."),
        in_words("a path of this lab begins with one / and has no blanks"),
    ] = "/",
) -> Response:
    """Send the browser to the provider."""
    url, visit, state = await _provider(app).begin(f"{base_url(request)}{PATH}/callback", then)
    response = Response(status_code=303, headers={"Location": url, "Cache-Control": "no-store"})
    cookies = cookies_of(request)
    path = f"{cookies.path.rstrip('/')}{PATH}"
    # Lax: the provider's redirect is a visit from another site.
    response.set_cookie(
        cookie_of(cookies, state), visit, max_age=600, path=path, httponly=True, secure=cookies.secure, samesite="lax"
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
    provider = _provider(app)
    name = cookie_of(cookies_of(request), state)
    statement, then = await provider.finish(request.cookies.get(name), state, code)
    principal = await openid_service.principal_of(app, provider, request, statement)
    _, secret, ends = await service.open_session(app, principal, how="openid")
    response = Response(status_code=303, headers={"Location": then})
    service.set_cookies(request, response, secret, ends)
    cookies = cookies_of(request)
    response.delete_cookie(name, path=f"{cookies.path.rstrip('/')}{PATH}", httponly=True, samesite="lax")
    return response


def cookie_of(cookies: Cookies, state: str) -> str:
    """One for each visit to the provider: two tabs may sign in at once, and neither takes the other's."""
    return f"{cookies.openid}_{sha256(state.encode(errors='surrogateescape')).hexdigest()[:12]}"


def _provider(app: App) -> "OpenId":
    """Raises `OpenidNotConfigured`."""
    if app.openid is None:
        raise OpenidNotConfigured("this lab has no sign-in through a university; use a token")
    return app.openid
