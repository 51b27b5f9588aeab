"""What decides over what a user may see: the role in the lab, the team, and the courses."""

from typing import NamedTuple
from uuid import UUID

from api.sql.database import Row
from gpulab.states import Role


class Membership(NamedTuple):
    """One course of a user."""

    course_id: UUID
    role: Role
    is_archived: bool


class Standing(NamedTuple):
    """What decides over what a user may see."""

    role: Role
    team: str | None
    memberships: tuple[Membership, ...] = ()
    """The course that was joined last comes first."""
    teaches_all: bool = False
    """Whether they are an instructor of each course of the lab: so in a lab with one course every instructor."""

    @property
    def sees_all(self) -> bool:
        return self.role is Role.ADMIN or self.teaches_all

    @property
    def is_staff(self) -> bool:
        return self.role is not Role.STUDENT or bool(self.taught_ids)

    @property
    def course_ids(self) -> list[UUID]:
        return [one.course_id for one in self.memberships]

    @property
    def taught_ids(self) -> list[UUID]:
        return [one.course_id for one in self.memberships if one.role is Role.INSTRUCTOR]


def standing_of(row: Row) -> Standing:
    """`row` has `role`, `team`, `courses` and `teaches_all`."""
    courses = tuple(Membership(UUID(one["id"]), Role(one["role"]), one["archived"]) for one in row.courses)
    return Standing(Role(row.role), row.team, courses, row.teaches_all)
