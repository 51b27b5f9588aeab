"""Grades: reading them, and giving them by hand or by a table."""

from collections.abc import Awaitable, Sequence
from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from api.assignments.service import find, taught
from api.auth.principal import Principal
from api.context import App
from api.grades import corrections, rules, statements, tables
from api.grades.corrections import Correction
from api.grades.released import own_grades
from api.http.cursors import decode_id_and_name, paged
from api.http.problems import GradeNotFound, InvalidRequest, UserNotFound
from api.roster import decoding
from api.sql.database import Row
from gpulab.schemas.assignments.grades import (
    GradeChangeRead,
    GradeColumns,
    GradeDetail,
    GradeOrder,
    GradePage,
    GradeRead,
    GradesImport,
    GradesImported,
)

MAX_STUDENTS = 10_000
MAX_HISTORY = 100


async def page(
    app: App, principal: Principal, assignment_id: UUID, text: str | None, cursor: str | None, limit: int
) -> GradePage:
    """One page of the class, by name. Raises `AssignmentNotFound`, `InvalidCursor`."""
    assignment = await taught(app, principal, assignment_id)

    def fetch(after: tuple[UUID, str] | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(
            statements.of_class,
            assignment_id=assignment_id,
            text=text,
            limit=most,
            after_name=after and after[1],
            after_id=after and after[0],
        )

    found, next_cursor = await paged(
        *("grades", {"assignment": assignment_id, "text": text}, cursor, limit, fetch),
        decode=decode_id_and_name,
        position=lambda one: f"{one.user_id}/{one.user}",
    )
    return GradePage(items=[rules.grade(one, assignment, for_staff=True) for one in found], next_cursor=next_cursor)


async def table(app: App, principal: Principal, assignment_id: UUID, columns: GradeColumns) -> bytes:
    """The whole class as CSV. Raises `AssignmentNotFound`."""
    assignment = await taught(app, principal, assignment_id)
    found = await _of_class(app, assignment)
    return tables.written(columns, assignment.name, rules.max_points(assignment), found)


async def detail(app: App, principal: Principal, assignment_id: UUID, user_id: UUID) -> GradeDetail:
    """One student's, with what was said before. Raises `AssignmentNotFound`, `UserNotFound`."""
    assignment = await taught(app, principal, assignment_id)
    found = await _of_student(app, assignment, user_id)
    given = await app.database.rows(statements.history, assignment_id=assignment_id, user_id=user_id, limit=MAX_HISTORY)
    return GradeDetail(**dict(found), history=[_change(one) for one in given])


async def own(app: App, principal: Principal, assignment_id: UUID) -> GradeRead:
    """The principal's own, once grades are released. Raises `AssignmentNotFound`, `GradeNotFound`."""
    assignment = await find(app, principal, assignment_id)
    found = await own_grades(app, principal.id, [assignment])
    if assignment_id not in found:
        raise GradeNotFound("you have no grade yet, or grades are not released")
    return found[assignment_id]


async def give(app: App, principal: Principal, assignment_id: UUID, user_id: UUID, order: GradeOrder) -> GradeDetail:
    """Grade by hand. Raises `AssignmentNotFound`, `UserNotFound`, `InvalidRequest`."""
    assignment = await taught(app, principal, assignment_id, changing=True)
    await _of_student(app, assignment, user_id)
    lines = [line.model_dump() for line in order.rubric]
    points = _points(order, rules.max_points(assignment))
    row: dict[str, Any] = {"user_id": str(user_id), "points": points, "comment": order.comment, "rubric": lines}
    await _write(app, principal, assignment_id, [row], "grade.given")
    return await detail(app, principal, assignment_id, user_id)


async def remove(app: App, principal: Principal, assignment_id: UUID, user_id: UUID) -> None:
    """Take the grade by hand back. Raises `AssignmentNotFound`, `UserNotFound`, `GradeNotFound`."""
    found = await _of_student(app, await taught(app, principal, assignment_id, changing=True), user_id)
    if not any(one.source == "hand" for one in found.sources):
        raise GradeNotFound("there is no manual grade")
    row: dict[str, Any] = {"user_id": str(user_id), "points": None, "comment": None, "rubric": [], "removed": True}
    await _write(app, principal, assignment_id, [row], "grade.removed")


async def bring_in(app: App, principal: Principal, assignment_id: UUID, order: GradesImport) -> GradesImported:
    """Do, or only say, what a table of corrections asks for. Raises `AssignmentNotFound`, `InvalidRequest`."""
    assignment = await taught(app, principal, assignment_id, changing=True)
    given = decoding.of_order(order.csv, order.file)
    found = corrections.read(given.text, await _of_class(app, assignment), rules.max_points(assignment))
    changed = [one for one in found.lines if one.changes]
    if changed and not order.dry_run:
        await _write(app, principal, assignment_id, [_row(one) for one in changed], "grade.given")
    return GradesImported(
        dry_run=order.dry_run,
        changed=len(changed),
        kept=len(found.lines) - len(changed),
        rows=[one.row() for one in found.lines],
        notices=[*([given.notice] if given.notice else []), *found.notices],
    )


async def _of_class(app: App, assignment: Row) -> list[GradeRead]:
    rows = await app.database.rows(statements.of_class, assignment_id=assignment.id, limit=MAX_STUDENTS)
    return [rules.grade(row, assignment, for_staff=True) for row in rows]


async def _of_student(app: App, assignment: Row, user_id: UUID) -> GradeRead:
    row = await app.database.row(statements.of_user, assignment_id=assignment.id, user_id=user_id)
    if row is None:
        raise UserNotFound(f"no student has the id {user_id}")
    return rules.grade(row, assignment, for_staff=True)


async def _write(app: App, principal: Principal, assignment_id: UUID, rows: list[dict[str, Any]], action: str) -> None:
    given = [{"removed": False, "from_table": False, **row} for row in rows]
    await app.database.rows(
        statements.give,
        rows=Jsonb(given, dumps=orjson.dumps),
        assignment_id=assignment_id,
        grader_id=principal.id,
        origin=principal.origin,
        action=action,
    )


def _row(one: Correction) -> dict[str, Any]:
    """Points that the table leaves as they are stay with the source that gave them."""
    by_hand = any(source.source == "hand" and source.points is not None for source in one.grade.sources)
    same = one.points == one.grade.points
    return {
        "user_id": str(one.grade.user_id),
        "points": None if same and not by_hand else one.points,
        "comment": one.comment,
        "rubric": [line.model_dump() for line in one.grade.rubric] if same else [],
        "from_table": True,
    }


def _points(order: GradeOrder, most: float | None) -> float | None:
    """Raises `InvalidRequest`."""
    if order.rubric and order.points is not None:
        raise InvalidRequest.of("points", "leave the points out: they are the sum of the rubric lines")
    if not order.rubric and order.points is None and order.comment is None:
        raise InvalidRequest.of("points", "give points, a rubric or a comment")
    points = round(sum(line.points for line in order.rubric), 6) if order.rubric else order.points
    if points is None or 0 <= points <= (points if most is None else most):
        return points
    path, what = ("rubric", "the sum of the lines") if order.rubric else ("points", "points")
    limit = {"ge": 0} if most is None else {"ge": 0, "le": most}
    between = "at least 0" if most is None else f"between 0 and {most:g}"
    raise InvalidRequest.of(path, f"{what} must be {between}", limit=limit, value=points)


def _change(row: Row) -> GradeChangeRead:
    names = ("at", "by", "from_table", "removed", "job_id", "points", "comment")
    return GradeChangeRead(**{name: getattr(row, name) for name in names}, rubric=rules.rubric(row.rubric))
