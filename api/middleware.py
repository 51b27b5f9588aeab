"""Around every request: an id, one line in the log, its time in the metrics, and the last word on our own faults."""

import itertools
import secrets
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import InternalError
from api.rendering import problem_response
from api.telemetry import Telemetry

UNMETERED = ("/stream",)

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
        request_id = f"{self._process}{next(self._numbers):016x}"
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, sending)
            except Exception:
                log.exception("request.failed", method=scope["method"], path=scope["path"])
                if status:
                    raise
                error = InternalError(f"an unexpected error; the lab's log has it as request {request_id}")
                await problem_response(error, scope)(scope, receive, sending)
            finally:
                self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"]
        self.telemetry.requests.labels(method, route, status).inc()
        if not route.endswith(UNMETERED) and b"wait=" not in scope["query_string"]:
            self.telemetry.seconds.labels(method, route).observe(seconds)
        principal = scope["state"].get("principal")
        log.info(
            "request.served",
            method=method,
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 2),
            principal=principal.name if principal is not None else None,
        )
