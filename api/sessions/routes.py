"""Signing a browser in and out."""

from typing import ClassVar

from fastapi import APIRouter, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import headers, problems
from api.http.problems import (
    BodyTooLarge,
    CsrfFailed,
    InvalidRequest,
    MalformedBody,
    TooManySignIns,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from api.http.rendering import json_response
from api.http.routing import OpenRoute, UserRoute
from api.sessions import service
from gpulab.schemas import SessionRead, SignIn


class SignInRoute(OpenRoute):
    """What comes here is a secret, also where it is misspelt."""

    instead_of_values: ClassVar[str | None] = 'send {"token": "glab_…"} and nothing else'


opening = APIRouter(prefix="/v1/session", tags=["sessions"], route_class=SignInRoute)
router = APIRouter(prefix="/v1/session", tags=["sessions"], route_class=UserRoute)


@opening.post(
    "",
    operation_id="sign_in",
    response_model=SessionRead,
    responses={
        200: {"headers": headers(Set_Cookie="`gpulab_session`, which scripts cannot read, and `gpulab_csrf`.")},
        **problems(
            MalformedBody,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            Unauthenticated,
            TooManySignIns,
            Unavailable,
        ),
    },
)
async def sign_in(request: Request, app: TheApp, order: SignIn) -> Response:
    """Turn a token into a session of this browser. No token is needed but the one in the body."""
    found, secret, ends = await service.sign_in(app, request, order)
    response = json_response(found)
    service.set_cookies(request, response, secret, ends)
    return response


@router.delete("", operation_id="sign_out", status_code=204, response_class=Response, responses=problems(CsrfFailed))
async def sign_out(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """End the session of this browser."""
    await service.sign_out(app, request, principal)
    response = Response(status_code=204)
    service.clear_cookies(request, response)
    return response
