"""`Client.courses`: classes that share the lab, and who belongs to them."""

from typing import Any
from uuid import UUID

from gpulab.client.submission import given
from gpulab.client.transport.http import Http, path_of
from gpulab.schemas.courses import CourseList, CourseRead, MemberRead


class Courses:
    """The courses of the lab. Most calls are for admins; others get Forbidden."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def all(self) -> list[CourseRead]:
        """Your courses, open ones first; for an admin all of the lab."""
        return self._http.get(CourseList, path_of("courses")).items

    def create(self, name: str, *, term: str | None = None) -> CourseRead:
        """Add a course, which has no members yet. For admins. Raises Conflict if name and term are taken."""
        return self._http.change(CourseRead, "POST", path_of("courses"), given(name=name, term=term))

    def change(self, course_id: UUID | str, **fields: Any) -> CourseRead:
        """Change `name`, `term` and `weight`, as an admin."""
        return self._http.change(CourseRead, "PATCH", path_of("courses", course_id), fields)

    def archive(self, course_id: UUID | str) -> CourseRead:
        """Make everything of the course read-only. For its instructors."""
        return self.change(course_id, archived=True)

    def reopen(self, course_id: UUID | str) -> CourseRead:
        """Open an archived course again. For admins."""
        return self.change(course_id, archived=False)

    def add_member(self, course_id: UUID | str, user_id: UUID | str, *, role: str = "student") -> MemberRead:
        """Let a user belong to the course, or change their role in it. Only admins add instructors."""
        path = path_of("courses", course_id, "members", user_id)
        return self._http.change(MemberRead, "PUT", path, {"role": role})

    def remove_member(self, course_id: UUID | str, user_id: UUID | str) -> None:
        """End a membership; what the user ran and handed in stays."""
        self._http.send("DELETE", path_of("courses", course_id, "members", user_id))
