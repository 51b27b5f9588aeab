"""Later deadlines for one user or one section."""

from typing import Any
from uuid import UUID

from api import deadlines
from api.assignments.service import taught
from api.auth.principal import Principal
from api.context import App
from api.extensions import statements
from api.http.problems import ExtensionNotFound, InvalidRequest
from api.sql.database import Row
from gpulab.schemas.assignments import ExtensionList, ExtensionOrder, ExtensionRead


async def extend(app: App, principal: Principal, assignment_id: UUID, order: ExtensionOrder) -> ExtensionRead:
    """Raises `AssignmentNotFound`, `Forbidden`, `CourseArchived`, `InvalidRequest`."""
    assignment = await taught(app, principal, assignment_id, changing=True)
    if (order.user_id is None) == (order.section is None):
        raise InvalidRequest.of("user_id", "name one user or one section")
    of = {"course_id": assignment.course_id}
    user_id = None if order.user_id is None else UUID(str(order.user_id))
    if user_id is not None and await app.database.row(statements.student, **of, user_id=user_id) is None:
        raise InvalidRequest.of("user_id", "no student has this id", value=user_id)
    if order.section is not None and await app.database.row(statements.in_section, **of, section=order.section) is None:
        raise InvalidRequest.of("section", "no student is in this section", value=order.section)
    deadline = await deadlines.deadline(app, "deadline", order.deadline, after=assignment.deadline)
    values: dict[str, Any] = {"assignment_id": assignment_id, "user_id": user_id, "section": order.section}
    values |= {"deadline": deadline, "reason": order.reason}
    made = await app.database.row(statements.extend, values=values)
    found = await extensions(app, principal, assignment_id)
    return next(one for one in found.items if made is not None and one.id == made.id)


async def extensions(app: App, principal: Principal, assignment_id: UUID) -> ExtensionList:
    """Newest first. Raises `AssignmentNotFound`, `Forbidden`."""
    await taught(app, principal, assignment_id)
    rows = await app.database.rows(statements.extensions, assignment_id=assignment_id)
    return ExtensionList(items=[_read(app, row) for row in rows])


async def end(app: App, principal: Principal, assignment_id: UUID, extension_id: UUID) -> None:
    """Raises `AssignmentNotFound`, `Forbidden`, `CourseArchived`, `ExtensionNotFound`."""
    await taught(app, principal, assignment_id, changing=True)
    ids = {"assignment_id": assignment_id, "extension_id": extension_id}
    if await app.database.row(statements.end_extension, **ids) is None:
        raise ExtensionNotFound(f"the assignment has no extension with the id {extension_id}")


def _read(app: App, row: Row) -> ExtensionRead:
    names = ("id", "user_id", "user", "section", "deadline", "reason", "created_at")
    text = deadlines.shown(row.deadline, app.settings.time_zone)
    return ExtensionRead(**{name: getattr(row, name) for name in names}, deadline_text=text)
