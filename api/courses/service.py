"""Courses: added by admins, archived by their instructors, and who belongs to them."""

from uuid import UUID

from api.auth.principal import Principal
from api.context import App
from api.courses import statements
from api.courses.access import check_open
from api.http.problems import AlreadyTaken, CourseNotFound, Forbidden, UserNotFound
from api.sql.database import Row
from gpulab.schemas.courses import CourseCreate, CourseList, CourseRead, CourseUpdate, MemberOrder, MemberRead
from gpulab.states import Role

NAMES = ("id", "name", "term", "weight", "created_at", "archived_at", "your_role", "instructors", "students")


async def courses(app: App, principal: Principal) -> CourseList:
    """Those of the principal; an admin's are all."""
    rows = await app.database.rows(statements.every, user_id=principal.id)
    return CourseList(items=[_read(row, principal) for row in rows if _may_see(principal, row.id)])


async def get(app: App, principal: Principal, course_id: UUID) -> CourseRead:
    """Raises `CourseNotFound`."""
    for one in (await courses(app, principal)).items:
        if one.id == course_id:
            return one
    raise CourseNotFound(f"no course of yours has the id {course_id}")


async def create(app: App, principal: Principal, order: CourseCreate) -> CourseRead:
    """Raises `AlreadyTaken`."""
    made = await app.database.row(statements.create, values=order.model_dump())
    if made is None:
        raise _taken(order.name)
    return await get(app, principal, made.id)


async def change(app: App, principal: Principal, course_id: UUID, order: CourseUpdate) -> CourseRead:
    """Instructors archive their course, admins change everything. Raises `CourseNotFound`, `Forbidden`,
    `AlreadyTaken`.
    """
    before = await _taught(app, principal, course_id)
    given = order.model_dump(exclude_unset=True)
    archived = given.pop("archived", None)
    values = {name: value for name, value in given.items() if value is not None or name == "term"}
    if not principal.is_admin and (values or archived is False):
        raise Forbidden("only admins may rename a course, change its weight or open it again")
    if archived is not None:
        values["archived_at"] = statements.ARCHIVED_FIRST if archived else None
    name, term = values.get("name", before.name), values.get("term", before.term)
    if await app.database.row(statements.namesake, course_id=course_id, name=name, term=term) is not None:
        raise _taken(name)
    if values:
        await app.database.row(statements.change, course_id=course_id, values=values)
    return await get(app, principal, course_id)


async def add_member(app: App, principal: Principal, course_id: UUID, user_id: UUID, order: MemberOrder) -> MemberRead:
    """Raises `CourseNotFound`, `CourseArchived`, `UserNotFound`, `Forbidden`."""
    await _changeable(app, principal, course_id, user_id, order.role)
    if not await app.database.rows(statements.join, course_id=course_id, user_ids=[user_id], role=order.role):
        raise UserNotFound(f"no user has the id {user_id}")
    row = await app.database.row(statements.member, course_id=course_id, user_id=user_id)
    assert row is not None  # noqa: S101 - it was just written
    return MemberRead(**row._asdict())


async def remove_member(app: App, principal: Principal, course_id: UUID, user_id: UUID) -> None:
    """What they ran and handed in stays. Raises `CourseNotFound`, `CourseArchived`, `UserNotFound`, `Forbidden`."""
    await _changeable(app, principal, course_id, user_id, Role.STUDENT.value)
    if await app.database.row(statements.leave, course_id=course_id, user_id=user_id) is None:
        raise UserNotFound(f"the course has no member with the id {user_id}")


async def _changeable(app: App, principal: Principal, course_id: UUID, user_id: UUID, role: str) -> None:
    await _taught(app, principal, course_id)
    await check_open(app, course_id)
    before = await app.database.row(statements.member, course_id=course_id, user_id=user_id)
    roles = {role} if before is None else {role, before.role}
    if Role.INSTRUCTOR in roles and not principal.is_admin:
        raise Forbidden("only admins may add or remove an instructor of a course")


async def _taught(app: App, principal: Principal, course_id: UUID) -> CourseRead:
    found = await get(app, principal, course_id)
    if not principal.teaches(course_id):
        raise Forbidden("only instructors of the course may do this")
    return found


def _may_see(principal: Principal, course_id: UUID) -> bool:
    return principal.teaches(course_id) or principal.is_in(course_id)


def _read(row: Row, principal: Principal) -> CourseRead:
    values = {name: getattr(row, name) for name in NAMES}
    if not principal.teaches(row.id):
        values["students"] = None
    return CourseRead(**values)


def _taken(name: str) -> AlreadyTaken:
    return AlreadyTaken.of("name", "another course has this name and term", value=name)
