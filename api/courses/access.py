"""What a course allows: nothing new once it is archived, and management only by those who teach it."""

from typing import Any
from uuid import UUID

from api import deadlines
from api.auth.principal import Principal
from api.context import App
from api.courses import statements
from api.http.problems import CourseArchived, Forbidden, InvalidRequest
from api.sql.database import Row
from gpulab.states import Role


def label(row: Any) -> str:
    """`cs231n (Autumn 2030)`."""
    return row.name if row.term is None else f"{row.name} ({row.term})"


async def check_open(app: App, course_id: UUID | None) -> None:
    """Raises `CourseArchived`."""
    row = None if course_id is None else await app.database.row(statements.by_id, course_id=course_id)
    if row is not None and row.archived_at is not None:
        raise _archived(app, row)


async def check_may_work(app: App, principal: Principal, course_id: UUID | None) -> None:
    """Whether the principal may add runs to the course. Raises `CourseArchived`, `Forbidden`."""
    await check_open(app, course_id)
    if course_id is not None and not (principal.teaches(course_id) or principal.is_in(course_id)):
        raise Forbidden("you are no longer in the course of this run; submit it again for another course")


async def course_of_submission(
    app: App, principal: Principal, course_id: UUID | None, experiment: str | None = None
) -> UUID | None:
    """The course that a run of the principal belongs to: the one named, else the most likely of theirs.

    None where they are in no course. Raises `InvalidRequest`, `CourseArchived`.
    """
    if course_id is not None:
        if not (principal.sees_all or principal.is_in(course_id)):
            raise _unknown(course_id)
        return await _open(app, course_id)
    ids = principal.standing.course_ids
    active = [one.course_id for one in principal.standing.memberships if not one.is_archived]
    if ids and not active:
        await check_open(app, ids[0])
    if len(active) < 2:
        return active[0] if active else None
    found: UUID = await app.database.scalar(
        statements.wanting, user_id=principal.id, course_ids=active, experiment=experiment
    )
    return found


async def course_of_staff(app: App, principal: Principal, course_id: UUID | None) -> UUID:
    """The course that staff mean: the one named, else the only open one that they teach.

    Raises `InvalidRequest`, `CourseArchived`.
    """
    if course_id is not None:
        if not principal.teaches(course_id):
            raise _unknown(course_id)
        return await _open(app, course_id)
    rows = await app.database.rows(statements.open_ones)
    found: list[UUID] = [row.id for row in rows if principal.teaches(row.id)]
    if len(found) == 1:
        return found[0]
    if not found:
        for taught in principal.standing.taught_ids:
            await check_open(app, taught)
        raise InvalidRequest.of("course_id", "you teach no course that is open")
    names = sorted(label(row) for row in rows if row.id in found)
    limit = {"enum": [str(one) for one in found]}
    raise InvalidRequest.of("course_id", f"name one of your courses: {', '.join(names)}", limit=limit)


def courses_read(principal: Principal, course_id: UUID | None) -> list[UUID] | None:
    """The courses to which a list for staff is narrowed: the one named, else those they teach; None is no narrowing."""
    if course_id is not None:
        return [course_id] if principal.teaches(course_id) else []
    return None if principal.sees_all else principal.standing.taught_ids


async def check_manages_account(app: App, principal: Principal, user: Row) -> None:
    """An account works in all courses of the user. Raises `Forbidden` unless they are a student in each, and the
    principal teaches it.
    """
    if principal.is_admin:
        return
    rows = await app.database.rows(statements.courses_of, user_id=user.id)
    if any(row.role == Role.INSTRUCTOR for row in rows):
        raise Forbidden(f"{user.name} is an instructor of a course; an admin can do this")
    if not principal.sees_all and not (rows and all(principal.teaches(row.course_id) for row in rows)):
        raise Forbidden(f"{user.name} is also in a course that you do not teach; an admin can do this")


async def shares_course(app: App, principal: Principal, user_id: UUID) -> bool:
    """Whether the principal teaches a course of the user."""
    if principal.sees_all:
        return True
    rows = await app.database.rows(statements.courses_of, user_id=user_id)
    return any(principal.teaches(row.course_id) for row in rows)


async def _open(app: App, course_id: UUID) -> UUID:
    row = await app.database.row(statements.by_id, course_id=course_id)
    if row is None:
        raise _unknown(course_id)
    if row.archived_at is not None:
        raise _archived(app, row)
    return course_id


def _archived(app: App, row: Row) -> CourseArchived:
    since = deadlines.shown(row.archived_at, app.settings.time_zone)
    return CourseArchived(f"the course {label(row)} was archived on {since}; it can be read, but not changed")


def _unknown(course_id: UUID) -> InvalidRequest:
    return InvalidRequest.of("course_id", "no course of yours has this id", value=course_id)
