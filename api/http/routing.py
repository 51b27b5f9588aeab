"""The routes of /v1: each knows who asks before anything else, and reads its body within a limit and strictly."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from api.audit import recording
from api.auth.principal import SAFE_METHODS, address_of, authenticate, check_again
from api.http.openapi import SIGNED_IN
from api.http.problems import InvalidRequest, MalformedBody, shortened
from api.http.strict_request import LARGER_BODIES, MAX_BODY_BYTES, StrictRequest
from api.limits.sign_ins import network_of
from api.limits.turns import SIGNING_IN, STRANGER, asker
from gpulab.schemas import InvalidField

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class LabRoute(APIRoute):
    is_open: ClassVar[bool] = False
    """Whether it answers who is not signed in."""
    takes_any_query: ClassVar[bool] = False
    """Whether parameters that it does not know are let pass."""
    instead_of_values: ClassVar[str | None] = None
    """What is said of a body or query that is not valid, where repeating any of it could give away a secret."""
    audits_itself: ClassVar[bool] = False
    """Whether its statements write their own events of the audit."""
    changes_users: ClassVar[bool] = False
    """Whether it changes what this process remembers of users."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if not self.is_open:
            # Declared here and enforced first: a dependency would be resolved at each request.
            options["openapi_extra"] = SIGNED_IN | (options.get("openapi_extra") or {})
        super().__init__(*arguments, **options)

    def get_route_handler(self) -> Handler:
        answer = self._audited(super().get_route_handler())
        said = self.instead_of_values
        takes_body = self.body_field is not None
        body_required = self.body_field is not None and self.body_field.field_info.is_required()

        known = _query_fields(self.dependant)
        max_body_bytes = LARGER_BODIES.get(self.operation_id or self.name, MAX_BODY_BYTES)

        async def checked(plain: Request) -> Response:
            request = StrictRequest(plain.scope, plain.receive)
            app = request.app.state.app
            asker.set(STRANGER if self.is_open else SIGNING_IN)
            request.max_body_bytes = min(max_body_bytes, app.settings.body_limit_bytes)
            if self.is_open:
                app.stranger_rate.check(network_of(address_of(request.scope)))
            else:
                request.state.principal = principal = await authenticate(request, app)
                asker.set(principal.id)
                app.unread.check(str(principal.id))
                if not principal.is_admin:
                    app.request_rate.take(principal.id.hex)
            if request.scope["query_string"] and not self.takes_any_query:
                _check_query(request, known)
            if not takes_body or not (body_required or _has_body(request)):
                response = await answer(request)
                if not self.is_open:
                    await check_again(request, app, principal)
                return response
            async with app.body_turns.of(request):
                # Parsed here, where a refusal still travels as it is; the framework finds the value ready.
                await request.json()
            return await answer(request)

        return checked if said is None else _without_values(checked, said)

    def _audited(self, handler: Handler) -> Handler:
        if self.is_open:
            return handler
        if self.changes_users:
            handler = _forgets_changed_users(handler)
        if self.audits_itself:
            return handler
        action = recording.action_of(self.operation_id or self.name, self.methods or ())
        if action is None:
            return handler
        kind = action.partition(".")[0]

        async def recorded(request: Request) -> Response:
            response = await handler(request)
            if response.status_code < 400:
                await recording.record(request, action, kind, response.headers.get("location"))
            return response

        return recorded


class UserRoute(LabRoute):
    """A route whose statements write their own events of the audit."""

    audits_itself = True
    changes_users = True


class MembershipRoute(LabRoute):
    """A route that changes courses and their members."""

    changes_users = True


class OpenRoute(LabRoute):
    """A route for who is not signed in yet."""

    is_open = True


def _without_values(handler: Handler, said: str) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except MalformedBody:
            raise MalformedBody(f"the body is not valid JSON; {said}") from None
        except (InvalidRequest, RequestValidationError):
            raise InvalidRequest.of("body", said) from None

    return answered


def _forgets_changed_users(handler: Handler) -> Handler:
    """Around a route of users: what this process remembers of them is forgotten before the answer is sent."""

    async def told(request: Request) -> Response:
        try:
            return await handler(request)
        finally:
            if request.method not in SAFE_METHODS:
                request.app.state.app.hub.users_changed()

    return told


def _query_fields(dependant: Dependant) -> dict[str, bool]:
    """The parameters of the query, and whether each may be repeated."""
    own = {field.alias: _is_list(field.field_info.annotation) for field in dependant.query_params}
    for below in dependant.dependencies:
        own |= _query_fields(below)
    return own


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _check_query(request: Request, known: dict[str, bool]) -> None:
    """A filter that is misspelt, or given twice, and ignored would answer another question than the one asked."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        limit = {"enum": sorted(known)}
        fields = [
            InvalidField(path=f"query.{shortened(name)}", message="unknown parameter", limit=limit)
            for name in unknown[:20]
        ]
        raise InvalidRequest.of_fields(fields)
    repeated = sorted(name for name, count in given.items() if count > 1 and not known[name])
    if repeated:
        message = "is given more than once"
        fields = [
            InvalidField(path=f"query.{name}", message=message, limit={"max": 1}, value=given[name])
            for name in repeated
        ]
        raise InvalidRequest.of_fields(fields)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
