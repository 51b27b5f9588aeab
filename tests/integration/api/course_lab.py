"""Two courses in one lab, for tests."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from gpulab.states import Role
from models.tables.courses import DEFAULT_COURSE_ID
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish

HOMEWORK = {"name": "Homework", "deadline": "2999-01-01", "experiments": ["dropout-linear"]}


@dataclass
class TwoCourses:
    """Vision is taught by Vera and heard by Ann and Bo; Language by Lars, heard by Bo and Cy."""

    client: httpx.AsyncClient
    seeds: Seeds
    users: dict[str, SeededUser]
    vision: str
    language: str

    async def call(self, who: str, method: str, path: str, **body: Any) -> httpx.Response:
        sent = {"json": body} if body else {}
        return await self.client.request(method, f"/v1/{path}", headers=self.users[who].headers, **sent)

    async def good(self, who: str, method: str, path: str, **body: Any) -> Any:
        answer = await self.call(who, method, path, **body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def names(self, who: str, path: str) -> list[str]:
        return sorted(one["name"] for one in (await self.good(who, "GET", path))["items"])

    def ran(self, who: str, course: str, **values: Any) -> UUID:
        job_id = self.seeds.job(self.users[who], course_id=UUID(course), **values)
        finish(self.seeds, job_id, {"loss": 1.0})
        return job_id

    async def homework(self, who: str, course: str, **values: Any) -> str:
        made = await self.good(who, "POST", "assignments", **{**HOMEWORK, "course_id": course, **values})
        return str(made["id"])


async def two_courses(client: httpx.AsyncClient, seeds: Seeds) -> TwoCourses:
    seeds.node()
    roles = dict.fromkeys(("ann", "bo", "cy"), Role.STUDENT) | dict.fromkeys(("vera", "lars"), Role.INSTRUCTOR)
    users = {name: seeds.user(name, role) for name, role in roles.items()} | {"admin": seeds.user("admin")}
    made = TwoCourses(client, seeds, users, str(DEFAULT_COURSE_ID), "")
    await made.good("admin", "PATCH", f"courses/{made.vision}", name="Vision", term="Autumn 2030")
    made.language = (await made.good("admin", "POST", "courses", name="Language"))["id"]
    for name in ("bo", "cy"):
        await made.good("admin", "PUT", f"courses/{made.language}/members/{users[name].id}", role="student")
    await made.good("admin", "PUT", f"courses/{made.language}/members/{users['lars'].id}", role="instructor")
    for name in ("cy", "lars"):
        await made.good("admin", "DELETE", f"courses/{made.vision}/members/{users[name].id}")
    return made
