"""Courses on the wire: classes that share the lab."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from gpulab.schemas.base import Incoming, Line, Outgoing

Term = Annotated[Line, Field(max_length=100)]
Weight = Annotated[float, Field(gt=0, le=1000)]
CourseRole = Literal["student", "instructor"]


class CourseCreate(Incoming):
    """A course to add."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "cs231n", "term": "Autumn 2030"}]})

    name: Annotated[Line, Field(max_length=100)]
    term: Term | None = None
    """Name and term together are unique."""


class CourseUpdate(Incoming):
    """What to change; what is left out stays. Null takes the term away."""

    name: Annotated[Line, Field(max_length=100)] | None = None
    term: Term | None = None
    archived: bool | None = None
    """True makes everything of the course read-only, false opens it again."""
    weight: Weight | None = None
    """Multiplies the weights of users, in the order of the course's runs. Only admins change it."""


class MemberOrder(Incoming):
    """In which role a user belongs to a course."""

    role: CourseRole = "student"


class MemberRead(Outgoing):
    course_id: UUID
    user_id: UUID
    user: str
    role: CourseRole


class CourseRead(Outgoing):
    id: UUID
    name: str
    term: str | None
    created_at: datetime
    archived_at: datetime | None
    """Since when everything of the course can only be read."""
    weight: float = 1.0
    """Multiplies the weights of users, in the order of the course's runs."""
    your_role: CourseRole | None
    """Null for an admin who is not a member."""
    instructors: list[str]
    """Their names."""
    students: int | None
    """Those who are not disabled; null for students."""


class CourseList(Outgoing):
    """Open courses first, the newest first."""

    items: list[CourseRead]
