"""A user's own grades, as far as they are released."""

from collections.abc import Sequence
from uuid import UUID

from api.context import App
from api.grades import rules, statements
from api.sql.database import Row
from gpulab.schemas.assignments.grades import GradeRead


async def own_grades(app: App, user_id: UUID, assignments: Sequence[Row]) -> dict[UUID, GradeRead]:
    """By assignment. Assignments whose grades are not released are left out, and those without a grade."""
    released = {one.id: one for one in assignments if one.points_released_at is not None}
    if not released:
        return {}
    rows = await app.database.rows(statements.released_of, user_id=user_id, assignment_ids=list(released))
    found = {row.assignment_id: rules.grade(row, released[row.assignment_id], for_staff=False) for row in rows}
    return {assignment_id: one for assignment_id, one in found.items() if rules.is_given(one)}
