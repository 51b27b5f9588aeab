"""How answers look: JSON bodies with their ETags, and problems for whatever was refused."""

import errno
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg import OperationalError
from psycopg.errors import ForeignKeyViolation
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from api.http.etag import answer, of_body
from api.http.long_answers import Whole
from api.http.problems import STATUS_SLUGS, DeletedMeanwhile, InvalidRequest, Refusal, Unavailable, shortened
from gpulab.schemas import InvalidField, Problem
from server.open_files import file_limits

SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS})
"""Errors of a system that lacks files, memory or processes for the moment."""
PROBLEM_MEDIA_TYPE = "application/problem+json"

EXAMPLE_TIME = "2030-01-31T18:00:00+01:00"
IN_WORDS = {
    "uuid_parsing": "is not an id, such as 01a22e4a-3cc7-73c9-95ba-d5fccab2a3ae",
    "bool_parsing": "must be true or false",
    "timezone_aware": f"needs an offset, such as {EXAMPLE_TIME}",
    "datetime_parsing": f"is not a time, such as {EXAMPLE_TIME}",
    "datetime_from_date_parsing": f"is not a time, such as {EXAMPLE_TIME}",
}
"""What is said in the place of a parser's own words, by the type of the error."""

log = structlog.get_logger()


def json_response(model: BaseModel | bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The body of `model`, which was validated when it was made and is not again."""
    body = model if isinstance(model, bytes) else model.model_dump_json()
    return Whole(body, status, headers, media_type="application/json")


def readable(request: Request, body: BaseModel | bytes, *, etag: str | None = None) -> Response:
    """A read that a client may keep: its ETag, or 304 when the client has it already."""
    content = body if isinstance(body, bytes) else body.__pydantic_serializer__.to_json(body)
    return answer(request, content, etag or of_body(content))


def csv_response(request: Request, body: bytes) -> Response:
    """A table for a spreadsheet: its ETag, or 304 when the client has it already."""
    return answer(request, body, of_body(body), media_type="text/csv; charset=utf-8")


def problem_response(error: Refusal, scope: Scope) -> Response:
    return _response(error.problem(_instance(scope)), error.headers)


def install(app: FastAPI) -> None:
    """Make problems of everything that is refused below."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(ForeignKeyViolation, _deleted_meanwhile)
    app.add_exception_handler(OSError, _system_refused)


def invalid_fields(errors: Sequence[Any], prefix: Sequence[str] = ()) -> list[InvalidField]:
    """Pydantic's errors as ours: the path, what would be accepted, and what was sent."""
    return [_invalid_field(error, prefix) for error in errors[:20]]


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown field"
    if error["type"] == "string_too_short" and error["ctx"]["min_length"] == 1:
        return "must not be empty"
    return IN_WORDS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")


def _invalid_field(error: Mapping[str, Any], prefix: Sequence[str]) -> InvalidField:
    location = [*prefix, *(str(part) for part in error["loc"])]
    if location[0] == "body" and len(location) > 1:
        location = location[1:]
    limit = {
        name: value
        for name, value in error.get("ctx", {}).items()
        if isinstance(value, str | int | float) and name != "error"
    }
    message = _message(error)
    missing = error["type"] == "missing"
    return InvalidField(
        path=".".join(part[:100] for part in location)[:300],
        message=message[0].lower() + message[1:],
        limit=limit or None,
        value=None if missing else shortened(error.get("input")),
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - what it was registered for
    log.info("request.refused", problem=error.slug, detail=error.detail)
    return problem_response(error, request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it was registered for
    fields = invalid_fields(error.errors())
    return await _refused(request, InvalidRequest.of_fields(fields))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it was registered for
    status = HTTPStatus(error.status_code)
    slug = STATUS_SLUGS.get(status, status.phrase.lower().replace(" ", "-"))
    log.info("request.refused", problem=slug, detail=error.detail)
    problem = Problem(
        type=f"/problems/{slug}",
        title=status.phrase,
        status=status,
        detail=f"{request.method} {request.url.path[:200]}: {status.description or status.phrase}{_meant(request)}",
        instance=_instance(request.scope),
    )
    headers = {"Allow": _allowed(request)} if status == HTTPStatus.METHOD_NOT_ALLOWED else error.headers
    return _response(problem, headers)


def _meant(request: Request) -> str:
    """The address that it would be without slashes too many, where there is something at it."""
    path = request.scope["path"]
    plain = re.sub("/+", "/", path).rstrip("/")
    if plain == path or not _allowed(request, plain):
        return ""
    return f"; there is {shortened(plain)}"


def _allowed(request: Request, path: str | None = None) -> str:
    """The methods of every route at this path; the framework names those of the first one only."""
    path = request.scope["path"] if path is None else path
    bare: dict[str, Any] = {"type": "http", "path": path, "root_path": "", "headers": [], "query_string": b""}
    return ", ".join(
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**bare, "method": as_served(method)})[0] is Match.FULL for route in request.app.routes)
    )


def as_served(method: str) -> str:
    """HEAD is answered as GET is, without the body."""
    return "GET" if method == "HEAD" else method


async def _database_away(request: Request, error: Exception) -> Response:
    log.warning("database.unreachable", reason=str(error).partition("\n")[0])
    return problem_response(Unavailable("the database is unreachable or read-only now; try again"), request.scope)


async def _deleted_meanwhile(request: Request, error: Exception) -> Response:
    """What a request has looked up can go before it writes; or it is named by something new, and stays."""
    log.warning("request.deleted_meanwhile", reason=str(error).partition("\n")[0])
    detail = "what the request names was deleted or used by another request meanwhile; look at it again"
    return problem_response(DeletedMeanwhile(detail), request.scope)


async def _system_refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, OSError) or error.errno not in SCARCE:
        raise error
    log.error("system.refused", reason=str(error), limit=file_limits()[0])
    return problem_response(
        Unavailable(f"the lab has reached a limit of the system: {error.strerror}; try again"), request.scope
    )


def _instance(scope: Scope) -> str:
    return f"/requests/{scope['state']['request_id']}"


def _response(problem: Problem, headers: Mapping[str, str] | None) -> Response:
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, problem.status, headers, media_type=PROBLEM_MEDIA_TYPE)
