"""The calls about people, tokens, the class and its assignments: which request, and what its answer means."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel

from gpulab.client.operations import PAGE_LIMIT, Operations, parsed
from gpulab.client.steps import Backoff, Emit, Request, Response, Steps, call
from gpulab.schemas import AuditPage, TokenPage, UserPage
from gpulab.schemas.assignments import AssignmentPage, OverviewRead, StandingRead, SubmissionPage

M = TypeVar("M", bound=BaseModel)
Pages = type[UserPage] | type[TokenPage] | type[AuditPage] | type[AssignmentPage] | type[SubmissionPage]


def path_of(*parts: object) -> str:
    """Below `/v1`; ids and names are data, never path syntax."""
    return "/".join(["/v1", *(quote(str(part), safe="") for part in parts)])


def get(operations: Operations, model: type[M], path: str, **query: Any) -> Steps[M]:
    return parsed(model, (yield from _send(operations, Request("GET", path, query=query))))


def change(
    operations: Operations, model: type[M], method: str, path: str, body: Mapping[str, Any] | None = None
) -> Steps[M]:
    """A call that is not sent twice unless it certainly did not arrive."""
    request = Request(method, path, body=body, repeatable=False)
    return parsed(model, (yield from _send(operations, request)))


def delete(operations: Operations, path: str) -> Steps[None]:
    # Ending twice is ending once.
    yield from _send(operations, Request("DELETE", path))


def pages(operations: Operations, model: Pages, path: str, limit: int | None, **filters: Any) -> Steps[None]:
    """Emits the items of a list, page by page, at most `limit`."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        size = PAGE_LIMIT if left is None else min(left, PAGE_LIMIT)
        page = yield from get(operations, model, path, **filters, limit=size, cursor=cursor)
        for item in page.items[:size]:
            yield Emit(item)
        left = None if left is None else left - len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def overview(operations: Operations, assignment_id: UUID | str) -> Steps[OverviewRead]:
    """Every page as one; the counts are the last page's."""
    path = path_of("assignments", assignment_id, "overview")
    students: dict[UUID, StandingRead] = {}
    cursor: str | None = None
    while True:
        page = yield from get(operations, OverviewRead, path, limit=PAGE_LIMIT, cursor=cursor)
        # Somebody whose state changes meanwhile may come twice.
        students |= {student.user_id: student for student in page.students}
        cursor = page.next_cursor
        if cursor is None:
            return page.model_copy(update={"students": list(students.values())})


def given(**fields: Any) -> dict[str, Any]:
    """A body without what was left out; ids and times as text."""
    return {name: _plain(value) for name, value in fields.items() if value is not None}


def roster(table: str | bytes, dry_run: bool) -> dict[str, Any]:
    """The body of an import; the lab finds out in which encoding a file's bytes are."""
    if isinstance(table, bytes):
        return {"file": b64encode(table).decode("ascii"), "dry_run": dry_run}
    return {"csv": table, "dry_run": dry_run}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _send(operations: Operations, request: Request) -> Steps[Response]:
    return (yield from call(request, Backoff(operations.retry_seconds)))
