"""Many students of an assignment at once: where they stand, and what staff do for them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from gpulab.client.submission import plain
from gpulab.client.transport.http import Http, path_of
from gpulab.schemas.assignments.students import StudentsDone, WallRead


class Students:
    """The part of `Client.users` that acts on many students."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def wall(self, assignment_id: UUID | str, **among: str | None) -> WallRead:
        """As `overview`, in short and at once: state and counts of each student. For staff."""
        return self._http.get(WallRead, path_of("assignments", assignment_id, "students"), **among)

    def extend_students(
        self,
        assignment_id: UUID | str,
        user_ids: Sequence[UUID | str],
        deadline: datetime | date | str,
        *,
        reason: str | None = None,
    ) -> StudentsDone:
        """Give students a later deadline; who has an even later one keeps it. For staff."""
        return self._act(assignment_id, "extend", user_ids, deadline=deadline, reason=reason)

    def message_students(
        self, assignment_id: UUID | str, user_ids: Sequence[UUID | str], text: str, *, ends_at: datetime | date | str
    ) -> StudentsDone:
        """Show a text on top of every page of these students, until `ends_at`. For staff."""
        return self._act(assignment_id, "message", user_ids, text=text, ends_at=ends_at)

    def cancel_waiting_runs(self, assignment_id: UUID | str, user_ids: Sequence[UUID | str]) -> StudentsDone:
        """Cancel these students' runs that count for the assignment and wait in the queue. For staff."""
        return self._act(assignment_id, "cancel-waiting", user_ids)

    def check_students(self, assignment_id: UUID | str, user_ids: Sequence[UUID | str]) -> StudentsDone:
        """Run the hidden check of these students' submissions again; at most 25 at a time. For staff."""
        return self._act(assignment_id, "check", user_ids)

    def _act(
        self, assignment_id: UUID | str, action: str, user_ids: Sequence[UUID | str], **fields: Any
    ) -> StudentsDone:
        body = {"user_ids": [str(one) for one in user_ids], **plain(**fields)}
        return self._http.change(StudentsDone, "POST", path_of("assignments", assignment_id, "students", action), body)
