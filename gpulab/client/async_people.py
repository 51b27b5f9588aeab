"""`AsyncClient.people`: the methods of `Client.people` to `await` or `async for`."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from gpulab.client import people_calls as calls
from gpulab.client.drivers import AsyncDriver
from gpulab.client.mirror import documented_as
from gpulab.client.operations import Operations
from gpulab.client.people import People
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


@documented_as(People)
class AsyncPeople:
    """`People` for asyncio."""

    def __init__(self, operations: Operations, driver: AsyncDriver) -> None:
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
    ) -> AsyncIterator[UserRead]:
        return self._driver.walk(
            calls.pages(
                self._operations, UserPage, "/v1/users", limit, role=role, section=section, team=team, text=text
            )
        )

    async def user(self, user_id: UUID | str) -> UserRead:
        return await self._driver.run(calls.get(self._operations, UserRead, calls.path_of("users", user_id)))

    async def create_user(
        self,
        name: str,
        *,
        role: str | None = None,
        email: str | None = None,
        section: str | None = None,
        team: str | None = None,
        token_expires_at: datetime | date | str | None = None,
    ) -> UserCreated:
        return await self._driver.run(
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

    async def change_user(self, user_id: UUID | str, **changes: Any) -> UserRead:
        return await self._driver.run(
            calls.change(self._operations, UserRead, "PATCH", calls.path_of("users", user_id), changes)
        )

    async def disable_user(self, user_id: UUID | str) -> UserRead:
        return await self._driver.run(
            calls.change(self._operations, UserRead, "POST", calls.path_of("users", user_id, "disable"))
        )

    async def enable_user(self, user_id: UUID | str) -> UserRead:
        return await self._driver.run(
            calls.change(self._operations, UserRead, "POST", calls.path_of("users", user_id, "enable"))
        )

    def tokens(self, user_id: UUID | str | None = None, *, limit: int | None = None) -> AsyncIterator[TokenRead]:
        return self._driver.walk(calls.pages(self._operations, TokenPage, "/v1/tokens", limit, user_id=user_id))

    async def create_token(
        self, name: str, *, expires_at: datetime | date | str | None = None, user_id: UUID | str | None = None
    ) -> TokenCreated:
        return await self._driver.run(
            calls.change(
                self._operations,
                TokenCreated,
                "POST",
                "/v1/tokens",
                calls.given(name=name, expires_at=expires_at, user_id=user_id),
            )
        )

    async def revoke_token(self, token_id: UUID | str) -> None:
        await self._driver.run(calls.delete(self._operations, calls.path_of("tokens", token_id)))

    def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[AuditEventRead]:
        return self._driver.walk(
            calls.pages(self._operations, AuditPage, "/v1/audit", limit, actor=actor, action=action, target=target)
        )

    async def roster(self, *, section: str | None = None, team: str | None = None) -> RosterRead:
        return await self._driver.run(calls.get(self._operations, RosterRead, "/v1/roster", section=section, team=team))

    async def import_roster(self, table: str | bytes, *, dry_run: bool = False) -> RosterImported:
        return await self._driver.run(
            calls.change(self._operations, RosterImported, "POST", "/v1/roster", calls.roster(table, dry_run))
        )

    def assignments(self, *, limit: int | None = None) -> AsyncIterator[AssignmentRead]:
        return self._driver.walk(calls.pages(self._operations, AssignmentPage, "/v1/assignments", limit))

    async def create_assignment(
        self,
        name: str,
        deadline: datetime | date | str,
        *,
        templates: Sequence[str] = (),
        experiments: Sequence[str] = (),
        description: str | None = None,
        tolerance: float | None = None,
    ) -> AssignmentRead:
        return await self._driver.run(
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

    async def overview(self, assignment_id: UUID | str) -> OverviewRead:
        return await self._driver.run(calls.overview(self._operations, assignment_id))

    async def pin(self, assignment_id: UUID | str, job_id: UUID | str) -> SubmissionRead:
        return await self._driver.run(
            calls.change(
                self._operations,
                SubmissionRead,
                "POST",
                calls.path_of("assignments", assignment_id, "submission"),
                {"job_id": str(job_id)},
            )
        )

    async def submission(self, assignment_id: UUID | str) -> SubmissionRead:
        return await self._driver.run(
            calls.get(self._operations, SubmissionRead, calls.path_of("assignments", assignment_id, "submission"))
        )

    def submissions(self, assignment_id: UUID | str, *, limit: int | None = None) -> AsyncIterator[SubmissionRead]:
        path = calls.path_of("assignments", assignment_id, "submissions")
        return self._driver.walk(calls.pages(self._operations, SubmissionPage, path, limit))

    async def rerun(self, assignment_id: UUID | str, user_id: UUID | str) -> JobRead:
        return await self._driver.run(
            calls.change(
                self._operations,
                JobRead,
                "POST",
                calls.path_of("assignments", assignment_id, "submissions", user_id, "rerun"),
            )
        )

    async def comparison(
        self, assignment_id: UUID | str, user_id: UUID | str, *, tolerance: float | None = None
    ) -> ComparisonRead:
        return await self._driver.run(
            calls.get(
                self._operations,
                ComparisonRead,
                calls.path_of("assignments", assignment_id, "submissions", user_id, "comparison"),
                tolerance=tolerance,
            )
        )

    async def share_job(self, job_id: UUID | str, audience: str | None) -> JobRead:
        return await self._driver.run(
            calls.change(
                self._operations, JobRead, "POST", calls.path_of("jobs", job_id, "share"), {"audience": audience}
            )
        )

    async def share_study(self, study_id: UUID | str, audience: str | None) -> StudyRead:
        return await self._driver.run(
            calls.change(
                self._operations, StudyRead, "POST", calls.path_of("studies", study_id, "share"), {"audience": audience}
            )
        )
