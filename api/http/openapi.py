"""The contract of the API, as `/openapi.json` has it."""

import asyncio
import gzip
from functools import lru_cache
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.http.etag import takes
from api.http.long_answers import Whole
from api.http.problems import (
    Busy,
    ClientVersion,
    InternalError,
    InvalidRequest,
    Refusal,
    TooManyOpen,
    TooManyRequests,
    TooManySignIns,
    TooManyStreams,
    Unauthenticated,
    Unavailable,
)
from gpulab.schemas import InvalidField, Problem

PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_REFERENCE = {"$ref": "#/components/schemas/Problem"}
TAGS = [
    {"name": "experiments", "description": "The catalogue: what can be run, with which parameters."},
    {"name": "estimates", "description": "The predicted GPU memory of a run, before it starts."},
    {"name": "jobs", "description": "Submitting, following, cancelling."},
    {
        "name": "programs",
        "description": "Your own code: sets of files that never change. The id is the hash of the content.",
    },
    {"name": "studies", "description": "Sets of runs that answer one question, with a comparison and a report."},
    {"name": "results", "description": "What runs recorded, printed and kept."},
    {"name": "streams", "description": "Server-sent events: notices that something changed."},
    {"name": "nodes", "description": "The machines."},
    {"name": "lab_hours", "description": "GPUs that are kept free for a class at certain times."},
    {"name": "users", "description": "Your own account, the users, and their tokens."},
    {"name": "sessions", "description": "Signing a browser in and out."},
    {"name": "roster", "description": "The class: import from a table, with sections and teams."},
    {"name": "courses", "description": "Classes that share the lab: their members, and their end."},
    {"name": "assignments", "description": "Assignments, submissions, and the progress of the class."},
    {"name": "audit", "description": "Who did what."},
    {"name": "disk", "description": "Where the disk goes."},
    {"name": "errors", "description": "What failed in the lab itself."},
    {"name": "banners", "description": "What every page of the dashboard shows on top."},
    {"name": "health", "description": "Whether the lab works. No token is needed."},
]
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of what you have.",
    "schema": {"type": "string"},
}
SIGNED_IN: dict[str, list[dict[str, list[str]]]] = {"security": [{"bearer": []}, {"session": []}]}
"""For an operation's `openapi_extra`: a token is asked for."""
BEARER_SCHEME = {"type": "http", "scheme": "bearer", "bearerFormat": "glab_…", "description": "A token of the lab."}
SESSION_SCHEME = {
    "type": "apiKey",
    "in": "cookie",
    "name": "gpulab_session",
    "description": "From `POST /v1/session`; the port and the path of the lab follow the name, where it has such. "
    "What changes something also needs the header `X-CSRF-Token`.",
}
KEPT = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
Responses = dict[int | str, dict[str, Any]]


def problems(*kinds: type[Refusal]) -> Responses:
    """The `responses` of a route that may refuse in these ways."""
    statuses: Responses = {}
    for kind in kinds:
        described = statuses.setdefault(kind.status, _problem(""))
        lines = [line for line in (described["description"], f"`{kind.slug}`: {kind.title}.") if line]
        described["description"] = "\n\n".join(lines)
    return statuses


def headers(**described: str) -> dict[str, Any]:
    """The `headers` of a response; an underscore stands for a hyphen."""
    return {
        name.replace("_", "-"): {"description": words, "schema": {"type": "string"}}
        for name, words in described.items()
    }


def install(app: FastAPI, root_path: str) -> None:
    """Serve the completed contract. `root_path`: the path below which the lab lives, if any."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=TAGS,
            )
            app.openapi_schema = _completed(made, root_path)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # the way FastAPI documents

    @lru_cache(maxsize=4)
    def written(prefix: str) -> tuple[bytes, bytes]:
        made = openapi()
        servers = [{"url": prefix, "description": "This lab."}] if prefix else made["servers"]
        body = orjson.dumps(made | {"servers": servers})
        return body, gzip.compress(body)

    one_at_a_time = asyncio.Lock()

    async def contract(request: Request) -> Response:
        # Anybody may ask for it, again and again: it is written once for each path that the lab is below. That takes
        # seconds, in which others are answered.
        async with one_at_a_time:
            plain, packed = await asyncio.to_thread(written, request.scope.get("root_path", "").rstrip("/"))
        if takes("gzip", request.headers.get("accept-encoding", "")):
            return Whole(packed, headers=KEPT | {"Content-Encoding": "gzip"}, media_type="application/json")
        return Whole(plain, headers=KEPT, media_type="application/json")

    app.add_route("/openapi.json", contract, include_in_schema=False)


def _completed(made: dict[str, Any], root_path: str) -> dict[str, Any]:
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, definitions = models_json_schema(
        [(Problem, "serialization"), (InvalidField, "serialization")], ref_template="#/components/schemas/{model}"
    )
    schemas |= definitions["$defs"]
    made["servers"] = [{"url": root_path or "/", "description": "This lab."}]
    made["components"]["securitySchemes"] = {"bearer": BEARER_SCHEME, "session": SESSION_SCHEME}
    for operations in made["paths"].values():
        for method, operation in operations.items():
            if method == "get" and operation.get("security"):
                _declare_conditional(operation)
            _complete(operation)
    found: dict[str, Any] = _lone_references(made)
    return found


def _lone_references(node: Any) -> Any:
    """With every `$ref` alone in its object: many generators of clients ignore a default beside one, or fail."""
    if isinstance(node, list):
        return [_lone_references(child) for child in node]
    if not isinstance(node, dict):
        return node
    made = {name: _lone_references(child) for name, child in node.items()}
    if isinstance(made.get("$ref"), str) and len(made) > 1:
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    common: list[type[Refusal]] = [InternalError]
    if operation.get("tags") != ["health"]:
        common.append(ClientVersion)
    if operation.get("security"):
        common += [Unauthenticated, TooManySignIns, TooManyRequests, Unavailable, Busy]
    if any(parameter["name"] == "wait" for parameter in operation.get("parameters", ())):
        common += [TooManyOpen, TooManyStreams]
    if operation.get("parameters") or operation.get("requestBody"):
        common.append(InvalidRequest)
    for status, response in problems(*common).items():
        responses.setdefault(str(status), response)
    operation["responses"] = dict(sorted(responses.items()))


def _declare_conditional(operation: dict[str, Any]) -> None:
    """Every read answers `If-None-Match`; only the streams are no reads."""
    if operation["tags"] == ["streams"]:
        return
    operation.setdefault("parameters", []).append(IF_NONE_MATCH)
    operation["responses"]["200"].setdefault("headers", {}).update(
        headers(ETag="Identifies this version of the response.")
    )
    operation["responses"]["304"] = {"description": "Nothing changed: you have this version."}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}}
