"""Tokens."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import problems
from api.http.parameters import Cursor, Limit
from api.http.problems import (
    BodyTooLarge,
    Forbidden,
    InvalidCursor,
    InvalidRequest,
    LastAdmin,
    MalformedBody,
    TokenNotFound,
    TooManyTokens,
    UnsupportedMediaType,
    UserNotFound,
)
from api.http.rendering import json_response, readable
from api.http.routing import UserRoute
from api.tokens import service
from gpulab.schemas import TokenCreate, TokenCreated, TokenPage

router = APIRouter(prefix="/v1/tokens", tags=["users"], route_class=UserRoute)


@router.get("", operation_id="list_tokens", response_model=TokenPage, responses=problems(UserNotFound, InvalidCursor))
async def list_tokens(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    user_id: Annotated[UUID | None, Query(description="Whose tokens; staff can list those of others.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Your tokens, newest first: their names and first characters, never the tokens."""
    return readable(request, await service.page(app, principal, user_id, cursor, limit))


@router.post(
    "",
    operation_id="create_token",
    status_code=201,
    response_model=TokenCreated,
    responses=problems(
        MalformedBody,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        Forbidden,
        UserNotFound,
        TooManyTokens,
    ),
)
async def create_token(app: TheApp, principal: ThePrincipal, order: TokenCreate) -> Response:
    """Create a token; it is shown once. Staff may create one for a user they manage."""
    made = await service.create(app, principal, order)
    return json_response(made, status=201, headers={"Cache-Control": "no-store"})


@router.delete(
    "/{token_id}",
    operation_id="revoke_token",
    status_code=204,
    response_class=Response,
    responses=problems(Forbidden, TokenNotFound, LastAdmin),
)
async def revoke_token(
    app: TheApp, principal: ThePrincipal, token_id: Annotated[UUID, Path(description="The token's id.")]
) -> Response:
    """End a token, and every session that was opened with it, at once and for good."""
    await service.revoke(app, principal, token_id)
    return Response(status_code=204)
