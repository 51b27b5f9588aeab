"""Around every request: an id, a limit for strangers, its cost, a line in the log, the last word on our own faults."""

import asyncio
import itertools
import secrets
import time

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.principal import address_of, shows_credential
from api.health.telemetry import Telemetry
from api.http.client_version import misfit
from api.http.problems import AnswerCutOff, InternalError, TooManyRequests
from api.http.rendering import as_served, problem_response
from api.limits.processor_time import Meter, meter
from api.limits.sign_ins import network_of
from gpulab.version import LAB_HEADER, VERSION

UNMETERED = ("/stream",)
CLIENT_LEFT = 499
"""As nginx has it: the client was gone before there was an answer."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that the metrics name; a stranger may invent others."""
SAYS_VERSION = (LAB_HEADER.lower().encode(), VERSION.encode())

log = structlog.get_logger()


class RequestBoundary:
    """Pure ASGI. Nothing raised below it gets past it."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app = app
        self.telemetry = telemetry
        # Random once, then counted: the operating system is not asked for random bits at every request.
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"]
        request_id = f"{self._process}{next(self._numbers):016x}"
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += ((b"x-request-id", request_id.encode()), SAYS_VERSION)
            await send(message)

        if method == "HEAD":
            scope = {**scope, "method": as_served(method)}
            receive, answer = _without_body(sending)
        else:
            answer = sending
        spent = Meter()
        meter.set(spent)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await spent.run(self._answer(scope, receive, answer))
            except ClientDisconnect:
                status = status or CLIENT_LEFT
            except AnswerCutOff as cut:
                # Unfinished, and so the server closes its connection.
                log.info("request.cut_off", reason=str(cut))
            except Exception:
                log.exception("request.failed", method=method, path=scope["path"])
                if status:
                    raise
                error = InternalError(f"an unexpected error; the lab's log has it as request {request_id}")
                await problem_response(error, scope)(scope, receive, answer)
            finally:
                _charge(scope, spent.seconds)
                self._record(scope, method, status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Who shows no credential is counted by address, before anything is done for them."""
        if not shows_credential(scope):
            try:
                scope["app"].state.app.stranger_rate.check(_stranger(scope))
            except TooManyRequests as refused:
                await problem_response(refused, scope)(scope, receive, send)
                return
        misfitting = misfit(scope)
        await (self.app if misfitting is None else problem_response(misfitting, scope))(scope, receive, send)

    def _record(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        label = method if method in METHODS else "other"
        self.telemetry.requests.labels(label, route, status).inc()
        if not route.endswith(UNMETERED) and b"wait=" not in scope["query_string"]:
            self.telemetry.seconds.labels(label, route).observe(seconds)
        principal = scope["state"].get("principal")
        log.info(
            "request.served",
            method=method,
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 2),
            principal=principal.name if principal is not None else None,
        )


def _charge(scope: Scope, processor_seconds: float) -> None:
    app = scope["app"].state.app
    body_bytes = scope["state"].get("body_bytes", 0)
    principal = scope["state"].get("principal")
    if principal is None:
        app.stranger_rate.charge(_stranger(scope), 1, body_bytes, processor_seconds)
    elif not principal.is_admin:
        app.request_rate.charge(principal.id.hex, 0, body_bytes, processor_seconds)


def _stranger(scope: Scope) -> str:
    return network_of(address_of(scope))


def _without_body(send: Send) -> tuple[Receive, Send]:
    """For HEAD: only the head of the answer is sent; what would go on sending hears that its client has left."""
    answered = asyncio.Event()

    async def receive() -> Message:
        await answered.wait()
        return {"type": "http.disconnect"}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            answered.set()

    return receive, sending
