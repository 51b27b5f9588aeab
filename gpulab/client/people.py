"""`Client.people`: users, tokens, the class and its assignments."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from gpulab.client import people_calls as calls
from gpulab.client.drivers import Driver
from gpulab.client.operations import Operations
from gpulab.schemas import (
    AuditEventRead,
    AuditPage,
    JobRead,
    StudyRead,
    TokenCreated,
    TokenPage,
    TokenRead,
    UserCreated,
    UserPage,
    UserRead,
)
from gpulab.schemas.assignments import (
    AssignmentPage,
    AssignmentRead,
    ComparisonRead,
    OverviewRead,
    SubmissionPage,
    SubmissionRead,
)
from gpulab.schemas.roster import RosterImported, RosterRead


class People:
    """What concerns people. Most of it is for instructors and admins; Forbidden is raised for who may not."""

    def __init__(self, operations: Operations, driver: Driver) -> None:
        self._operations = operations
        self._driver = driver

    def users(
        self,
        *,
        role: str | None = None,
        section: str | None = None,
        team: str | None = None,
        text: str | None = None,
        limit: int | None = None,
    ) -> Iterator[UserRead]:
        """People, newest first, at most `limit`; fetched page by page while you iterate. For staff."""
        return self._driver.walk(
            calls.pages(
                self._operations, UserPage, "/v1/users", limit, role=role, section=section, team=team, text=text
            )
        )

    def user(self, user_id: UUID | str) -> UserRead:
        """One person. Raises NotFound."""
        return self._driver.run(calls.get(self._operations, UserRead, calls.path_of("users", user_id)))

    def create_user(
        self,
        name: str,
        *,
        role: str | None = None,
        email: str | None = None,
        section: str | None = None,
        team: str | None = None,
        token_expires_at: datetime | date | str | None = None,
    ) -> UserCreated:
        """Let a person in; `token` is their first one, shown here and never again.

        Raises Conflict where the name is taken.
        """
        return self._driver.run(
            calls.change(
                self._operations,
                UserCreated,
                "POST",
                "/v1/users",
                calls.given(
                    name=name, role=role, email=email, section=section, team=team, token_expires_at=token_expires_at
                ),
            )
        )

    def change_user(self, user_id: UUID | str, **changes: Any) -> UserRead:
        """Change `role`, `email`, `section`, `team`, `weight`, or the limits `max_running`, `max_queued`,
        `max_gpu_hours` and `max_gib_hours`; None takes a value away. `forget_sign_in=True` forgets their account at the
        university.
        """
        return self._driver.run(
            calls.change(self._operations, UserRead, "PATCH", calls.path_of("users", user_id), changes)
        )

    def disable_user(self, user_id: UUID | str) -> UserRead:
        """Shut a person out: no token and no session of theirs is good any more."""
        return self._driver.run(
            calls.change(self._operations, UserRead, "POST", calls.path_of("users", user_id, "disable"))
        )

    def enable_user(self, user_id: UUID | str) -> UserRead:
        """Let a person in again."""
        return self._driver.run(
            calls.change(self._operations, UserRead, "POST", calls.path_of("users", user_id, "enable"))
        )

    def tokens(self, user_id: UUID | str | None = None, *, limit: int | None = None) -> Iterator[TokenRead]:
        """Your tokens, or somebody's if you are staff: names and first characters, never the tokens."""
        return self._driver.walk(calls.pages(self._operations, TokenPage, "/v1/tokens", limit, user_id=user_id))

    def create_token(
        self, name: str, *, expires_at: datetime | date | str | None = None, user_id: UUID | str | None = None
    ) -> TokenCreated:
        """A further token of yours, or of somebody whom you manage; `token` is shown here and never again."""
        return self._driver.run(
            calls.change(
                self._operations,
                TokenCreated,
                "POST",
                "/v1/tokens",
                calls.given(name=name, expires_at=expires_at, user_id=user_id),
            )
        )

    def revoke_token(self, token_id: UUID | str) -> None:
        """End a token, and every session that was opened with it."""
        self._driver.run(calls.delete(self._operations, calls.path_of("tokens", token_id)))

    def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        limit: int | None = None,
    ) -> Iterator[AuditEventRead]:
        """Who did what, newest first. For staff."""
        return self._driver.walk(
            calls.pages(self._operations, AuditPage, "/v1/audit", limit, actor=actor, action=action, target=target)
        )

    def roster(self, *, section: str | None = None, team: str | None = None) -> RosterRead:
        """The class, by section, team and name. For staff."""
        return self._driver.run(calls.get(self._operations, RosterRead, "/v1/roster", section=section, team=team))

    def import_roster(self, table: str | bytes, *, dry_run: bool = False) -> RosterImported:
        """Let a class in from a table (`name,email,section,team`), or only say what would change.

        A file's bytes are read as UTF-8, UTF-16 or Windows-1252. The answer's `notices` say how, and what was ignored.
        Raises InvalidRequest, whose `errors` name every wrong line.
        """
        return self._driver.run(
            calls.change(self._operations, RosterImported, "POST", "/v1/roster", calls.roster(table, dry_run))
        )

    def assignments(self, *, limit: int | None = None) -> Iterator[AssignmentRead]:
        """Assignments, newest first."""
        return self._driver.walk(calls.pages(self._operations, AssignmentPage, "/v1/assignments", limit))

    def create_assignment(
        self,
        name: str,
        deadline: datetime | date | str,
        *,
        templates: Sequence[str] = (),
        experiments: Sequence[str] = (),
        description: str | None = None,
        tolerance: float | None = None,
    ) -> AssignmentRead:
        """Set an assignment; templates or experiments say which runs belong to it. For staff.

        A date is the end of that day, and a time without an offset one in the lab's time zone.
        """
        return self._driver.run(
            calls.change(
                self._operations,
                AssignmentRead,
                "POST",
                "/v1/assignments",
                calls.given(
                    name=name,
                    deadline=deadline,
                    templates=list(templates),
                    experiments=list(experiments),
                    description=description,
                    tolerance=tolerance,
                ),
            )
        )

    def overview(self, assignment_id: UUID | str) -> OverviewRead:
        """Who is stuck and on what, who has no run, who a good one; the whole class, the stuck first. For staff."""
        return self._driver.run(calls.overview(self._operations, assignment_id))

    def pin(self, assignment_id: UUID | str, job_id: UUID | str) -> SubmissionRead:
        """Hand in a run of yours that succeeded, in the place of the one before. Raises Conflict after the deadline."""
        return self._driver.run(
            calls.change(
                self._operations,
                SubmissionRead,
                "POST",
                calls.path_of("assignments", assignment_id, "submission"),
                {"job_id": str(job_id)},
            )
        )

    def submission(self, assignment_id: UUID | str) -> SubmissionRead:
        """What you handed in. Raises NotFound."""
        return self._driver.run(
            calls.get(self._operations, SubmissionRead, calls.path_of("assignments", assignment_id, "submission"))
        )

    def submissions(self, assignment_id: UUID | str, *, limit: int | None = None) -> Iterator[SubmissionRead]:
        """What the class handed in, by name. For staff."""
        path = calls.path_of("assignments", assignment_id, "submissions")
        return self._driver.walk(calls.pages(self._operations, SubmissionPage, path, limit))

    def rerun(self, assignment_id: UUID | str, user_id: UUID | str) -> JobRead:
        """Run again what somebody handed in, with its spec and seed. For staff."""
        return self._driver.run(
            calls.change(
                self._operations,
                JobRead,
                "POST",
                calls.path_of("assignments", assignment_id, "submissions", user_id, "rerun"),
            )
        )

    def comparison(
        self, assignment_id: UUID | str, user_id: UUID | str, *, tolerance: float | None = None
    ) -> ComparisonRead:
        """The re-run beside what was handed in. For staff."""
        return self._driver.run(
            calls.get(
                self._operations,
                ComparisonRead,
                calls.path_of("assignments", assignment_id, "submissions", user_id, "comparison"),
                tolerance=tolerance,
            )
        )

    def share_job(self, job_id: UUID | str, audience: str | None) -> JobRead:
        """Let `team` or `class` read a job; None takes it back."""
        return self._driver.run(
            calls.change(
                self._operations, JobRead, "POST", calls.path_of("jobs", job_id, "share"), {"audience": audience}
            )
        )

    def share_study(self, study_id: UUID | str, audience: str | None) -> StudyRead:
        """Let `team` or `class` read a study and its runs; None takes it back."""
        return self._driver.run(
            calls.change(
                self._operations, StudyRead, "POST", calls.path_of("studies", study_id, "share"), {"audience": audience}
            )
        )
