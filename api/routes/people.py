"""Who is asking, and who there is."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth import Staff, ThePrincipal
from api.context import TheLab
from api.openapi import headers, problems
from api.problems import (
    AlreadyTaken,
    BodyTooLarge,
    Forbidden,
    InvalidCursor,
    InvalidRequest,
    LastAdmin,
    MalformedBody,
    UnsupportedMediaType,
    UserNotFound,
)
from api.rendering import json_response, readable
from api.routes.parameters import Cursor, Limit, Words
from api.routing import PeopleRoute
from api.services import people
from gpulab.schemas import MeRead, UserCreate, UserCreated, UserPage, UserRead, UserUpdate
from gpulab.states import Role

router = APIRouter(prefix="/v1", tags=["people"], route_class=PeopleRoute)

UserId = Annotated[UUID, Path(description="The person's id.")]
BODY = (MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest)


@router.get("/me", operation_id="get_me", response_model=MeRead)
async def get_me(request: Request, lab: TheLab, principal: ThePrincipal) -> Response:
    """Whom the token or the session belongs to, until when, and what the lab allows them."""
    return readable(request, await people.me(lab, principal))


@router.post(
    "/users",
    operation_id="create_user",
    status_code=201,
    response_model=UserCreated,
    responses={
        201: {"headers": headers(Location="The person's address.")},
        **problems(*BODY, Forbidden, AlreadyTaken),
    },
)
async def create_user(lab: TheLab, principal: Staff, order: UserCreate) -> Response:
    """Let a person in, with a first token that is shown once. Instructors let students in, admins anybody."""
    made = await people.create(lab, principal, order)
    secret = {"Location": f"/v1/users/{made.id}", "Cache-Control": "no-store"}
    return json_response(made, status=201, headers=secret)


@router.get(
    "/users",
    operation_id="list_users",
    response_model=UserPage,
    responses=problems(Forbidden, InvalidRequest, InvalidCursor),
)
async def list_users(
    request: Request,
    lab: TheLab,
    _: Staff,
    role: Annotated[Role | None, Query()] = None,
    section: Words = None,
    team: Words = None,
    text: Annotated[Words, Query(description="Part of the name or the e-mail address.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """People, newest first. For staff."""
    filters = {"role": None if role is None else role.value, "section": section, "team": team, "text": text}
    return readable(request, await people.page(lab, filters, cursor, limit))


@router.get("/users/{user_id}", operation_id="get_user", response_model=UserRead, responses=problems(UserNotFound))
async def get_user(request: Request, lab: TheLab, principal: ThePrincipal, user_id: UserId) -> Response:
    """One person; students see themselves."""
    return readable(request, await people.get(lab, principal, user_id))


@router.patch(
    "/users/{user_id}",
    operation_id="change_user",
    response_model=UserRead,
    responses=problems(*BODY, Forbidden, UserNotFound, AlreadyTaken, LastAdmin),
)
async def change_user(lab: TheLab, principal: Staff, user_id: UserId, order: UserUpdate) -> Response:
    """Change role, address, section, team, weight or limits. Instructors change students, admins anybody."""
    return json_response(await people.change(lab, principal, user_id, order))


@router.post(
    "/users/{user_id}/disable",
    operation_id="disable_user",
    response_model=UserRead,
    responses=problems(Forbidden, UserNotFound, LastAdmin),
)
async def disable_user(lab: TheLab, principal: Staff, user_id: UserId) -> Response:
    """Shut a person out: no token and no session of theirs is good any more. What they ran stays."""
    return json_response(await people.disable(lab, principal, user_id))


@router.post(
    "/users/{user_id}/enable",
    operation_id="enable_user",
    response_model=UserRead,
    responses=problems(Forbidden, UserNotFound),
)
async def enable_user(lab: TheLab, principal: Staff, user_id: UserId) -> Response:
    """Let a person in again, with the tokens they had."""
    return json_response(await people.enable(lab, principal, user_id))
