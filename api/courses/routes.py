"""Courses: classes that share the lab."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from api.auth.principal import Admin, Staff, ThePrincipal
from api.context import TheApp
from api.courses import service
from api.http.openapi import headers, problems
from api.http.problems import (
    AlreadyTaken,
    BodyTooLarge,
    CourseArchived,
    CourseNotFound,
    Forbidden,
    InvalidRequest,
    MalformedBody,
    UnsupportedMediaType,
    UserNotFound,
)
from api.http.rendering import json_response, readable
from api.http.routing import MembershipRoute
from gpulab.schemas.courses import CourseCreate, CourseList, CourseRead, CourseUpdate, MemberOrder, MemberRead

router = APIRouter(prefix="/v1/courses", tags=["courses"], route_class=MembershipRoute)

CourseId = Annotated[UUID, Path(description="The course's id.")]
UserId = Annotated[UUID, Path(description="The member's id.")]
BODY = (MalformedBody, BodyTooLarge, UnsupportedMediaType, InvalidRequest)


@router.get("", operation_id="list_courses", response_model=CourseList)
async def list_courses(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """Your courses, open ones first; for an admin all of the lab."""
    return readable(request, await service.courses(app, principal))


@router.post(
    "",
    operation_id="create_course",
    status_code=201,
    response_model=CourseRead,
    responses={201: {"headers": headers(Location="The course's address.")}, **problems(*BODY, Forbidden, AlreadyTaken)},
)
async def create_course(app: TheApp, principal: Admin, order: CourseCreate) -> Response:
    """Add a course. It has no members yet. For admins."""
    made = await service.create(app, principal, order)
    return json_response(made, status=201, headers={"Location": f"/v1/courses/{made.id}"})


@router.get("/{course_id}", operation_id="get_course", response_model=CourseRead, responses=problems(CourseNotFound))
async def get_course(request: Request, app: TheApp, principal: ThePrincipal, course_id: CourseId) -> Response:
    """One course of yours."""
    return readable(request, await service.get(app, principal, course_id))


@router.patch(
    "/{course_id}",
    operation_id="change_course",
    response_model=CourseRead,
    responses=problems(*BODY, Forbidden, CourseNotFound, AlreadyTaken),
)
async def change_course(app: TheApp, principal: Staff, course_id: CourseId, order: CourseUpdate) -> Response:
    """Archive a course, as its instructor; rename it or open it again, as an admin."""
    return json_response(await service.change(app, principal, course_id, order))


@router.put(
    "/{course_id}/members/{user_id}",
    operation_id="add_course_member",
    response_model=MemberRead,
    responses=problems(*BODY, Forbidden, CourseNotFound, CourseArchived, UserNotFound),
)
async def add_course_member(
    app: TheApp, principal: Staff, course_id: CourseId, user_id: UserId, order: MemberOrder
) -> Response:
    """Let a user belong to the course, or change their role in it. Only admins add instructors."""
    return json_response(await service.add_member(app, principal, course_id, user_id, order))


@router.delete(
    "/{course_id}/members/{user_id}",
    operation_id="remove_course_member",
    status_code=204,
    response_class=Response,
    responses=problems(Forbidden, CourseNotFound, CourseArchived, UserNotFound),
)
async def remove_course_member(app: TheApp, principal: Staff, course_id: CourseId, user_id: UserId) -> Response:
    """End a membership. What the user ran and handed in for the course stays."""
    await service.remove_member(app, principal, course_id, user_id)
    return Response(status_code=204)
