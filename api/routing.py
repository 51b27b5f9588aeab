"""The routes of /v1: each knows who asks before anything else, and reads its body within a limit and strictly."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api import auditing, strict_json
from api.auth import SAFE_METHODS, authenticate
from api.openapi import SIGNED_IN
from api.problems import BodyTooLarge, InvalidRequest, MalformedBody, UnsupportedMediaType, shortened
from gpulab.schemas import InvalidField

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose `json()` is strict and whose body is bounded, whether or not its length was announced."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            limit = self.app.state.lab.settings.body_limit_bytes
            announced = self.headers.get("content-length", "")
            if announced.isdecimal() and int(announced) > limit:
                raise BodyTooLarge(f"at most {limit} bytes are accepted, {announced} were announced")
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > limit:
                    raise BodyTooLarge(f"at most {limit} bytes are accepted")
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise UnsupportedMediaType(f"the content type must be application/json, not {kind[:100] or 'absent'}")
            body = await self.body()
            if not body:
                raise MalformedBody("the body is empty")
            self._json = strict_json.loads(body)
        return self._json


class LabRoute(APIRoute):
    is_open: ClassVar[bool] = False
    """Whether it answers who is not signed in."""
    takes_any_query: ClassVar[bool] = False
    """Whether parameters that it does not know are let pass."""
    audits_itself: ClassVar[bool] = False
    """Whether its statements write their own events of the audit."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if not self.is_open:
            # Told here, and asked for before anything else: as a dependency it would be looked for at each request.
            options["openapi_extra"] = SIGNED_IN | (options.get("openapi_extra") or {})
        super().__init__(*arguments, **options)

    def get_route_handler(self) -> Handler:
        answer = self._audited(super().get_route_handler())
        takes_body = self.body_field is not None
        body_required = self.body_field is not None and self.body_field.field_info.is_required()

        known = _query_names(self.dependant)

        async def checked(request: Request) -> Response:
            if not self.is_open:
                lab = request.app.state.lab
                request.state.principal = principal = await authenticate(request, lab)
                if not principal.is_admin:
                    lab.request_rate.take(principal.id)
            if request.scope["query_string"] and not self.takes_any_query:
                _refuse_unknown(request, known)
            if not takes_body or not (body_required or _has_body(request)):
                return await answer(request)
            strict = StrictRequest(request.scope, request.receive)
            # Parsed here, where a refusal still travels as it is; the framework finds the value ready.
            await strict.json()
            return await answer(strict)

        return checked

    def _audited(self, handler: Handler) -> Handler:
        if self.is_open:
            return handler
        if self.audits_itself:
            return _told(handler)
        action = auditing.action_of(self.operation_id or self.name, self.methods or ())
        if action is None:
            return handler
        kind = str(self.tags[0]).removesuffix("s") if self.tags else "thing"

        async def recorded(request: Request) -> Response:
            response = await handler(request)
            if response.status_code < 400:
                await auditing.record(request, action, kind, response.headers.get("location"))
            return response

        return recorded


class PeopleRoute(LabRoute):
    """A route whose statements write their own events of the audit."""

    audits_itself = True


class OpenRoute(LabRoute):
    """A route for who is not signed in yet."""

    is_open = True


def _told(handler: Handler) -> Handler:
    """Around a route of people: what this process remembers of them is forgotten before the answer is sent."""

    async def told(request: Request) -> Response:
        try:
            return await handler(request)
        finally:
            if request.method not in SAFE_METHODS:
                request.app.state.lab.hub.people_changed()

    return told


def _query_names(dependant: Dependant) -> set[str]:
    own = {parameter.alias for parameter in dependant.query_params}
    return own.union(*(_query_names(below) for below in dependant.dependencies))


def _refuse_unknown(request: Request, known: set[str]) -> None:
    """A filter that is misspelt and ignored would answer another question than the one asked."""
    unknown = sorted(request.query_params.keys() - known)
    if unknown:
        limit = {"enum": sorted(known)}
        fields = [
            InvalidField(path=f"query.{shortened(name)}", message="unknown parameter", limit=limit)
            for name in unknown[:20]
        ]
        raise InvalidRequest(f"{fields[0].path}: unknown parameter", errors=fields)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
