"""Who is asking, and who there is."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.principal import Staff, ThePrincipal
from api.context import TheApp
from api.http.openapi import headers, problems
from api.http.parameters import Cursor, Limit, OfCourse, Words
from api.http.problems import (
    AlreadyTaken,
    BodyTooLarge,
    CourseArchived,
    Forbidden,
    InvalidCursor,
    InvalidRequest,
    LastAdmin,
    MalformedBody,
    UnsupportedMediaType,
    UserErased,
    UserNotFound,
)
from api.http.rendering import json_response, readable
from api.http.routing import UserRoute
from api.users import service
from gpulab.schemas import MeRead, UserCreate, UserCreated, UserPage, UserRead, UserUpdate
from gpulab.states import Role

router = APIRouter(prefix="/v1", tags=["users"], route_class=UserRoute)

UserId = Annotated[UUID, Path(description="The user's id.")]
BODY = (MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest)


@router.get("/me", operation_id="get_me", response_model=MeRead)
async def get_me(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """The user that the token or session belongs to, when it expires, and the user's limits."""
    return readable(request, await service.me(app, principal))


@router.post(
    "/users",
    operation_id="create_user",
    status_code=201,
    response_model=UserCreated,
    responses={
        201: {"headers": headers(Location="The user's address.")},
        **problems(*BODY, Forbidden, AlreadyTaken, CourseArchived),
    },
)
async def create_user(app: TheApp, principal: Staff, order: UserCreate) -> Response:
    """Let a user in, with a first token that is shown once. Instructors let students in, admins anybody."""
    made = await service.create(app, principal, order)
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
    app: TheApp,
    principal: Staff,
    role: Annotated[Role | None, Query()] = None,
    section: Words = None,
    team: Words = None,
    text: Annotated[Words, Query(description="Part of the name or the e-mail address.")] = None,
    course: OfCourse = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Users of the courses that you teach, newest first; for an admin all. For staff."""
    filters = {"role": None if role is None else role.value, "section": section, "team": team, "text": text}
    return readable(request, await service.page(app, principal, course, filters, cursor, limit))


@router.get("/users/{user_id}", operation_id="get_user", response_model=UserRead, responses=problems(UserNotFound))
async def get_user(request: Request, app: TheApp, principal: ThePrincipal, user_id: UserId) -> Response:
    """One user; students see themselves."""
    return readable(request, await service.get(app, principal, user_id))


@router.patch(
    "/users/{user_id}",
    operation_id="change_user",
    response_model=UserRead,
    responses=problems(*BODY, Forbidden, UserNotFound, AlreadyTaken, LastAdmin),
)
async def change_user(app: TheApp, principal: Staff, user_id: UserId, order: UserUpdate) -> Response:
    """Change role, address, section, team, weight or limits. Instructors change students, admins anybody."""
    return json_response(await service.change(app, principal, user_id, order))


@router.post(
    "/users/{user_id}/disable",
    operation_id="disable_user",
    response_model=UserRead,
    responses=problems(Forbidden, UserNotFound, LastAdmin),
)
async def disable_user(app: TheApp, principal: Staff, user_id: UserId) -> Response:
    """Shut a user out: no token and no session of theirs is good any more. What they ran stays."""
    return json_response(await service.disable(app, principal, user_id))


@router.post(
    "/users/{user_id}/enable",
    operation_id="enable_user",
    response_model=UserRead,
    responses=problems(Forbidden, UserNotFound, UserErased),
)
async def enable_user(app: TheApp, principal: Staff, user_id: UserId) -> Response:
    """Let a user in again, with the tokens they had."""
    return json_response(await service.enable(app, principal, user_id))
