"""Where browsers find this lab: the path that it is below, and the names of its cookies there.

A browser sends the cookies of a host to every port of it and to every path below a cookie's own. The names therefore
hold the lab's port and path, so that two labs on one host do not sign each other's users out.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from models.settings import ROOT_PATH

DEFAULT_PORTS = {"http": 80, "https": 443}
FORWARDED_PREFIX = b"x-forwarded-prefix"
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")


class BelowPath:
    """Pure ASGI: takes the path that the lab is below off the request's and puts it in front of what answers point to.

    A proxy may have taken it off already.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._root_path or scope.get("root_path", "")
        if scope["type"] != "http" or not prefix:
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [_below(prefix, *header) for header in message["headers"]]
            await send(message)

        path = _without(prefix, scope["path"])
        raw_path = _without(prefix, scope.get("raw_path", b"").decode("latin-1")).encode("latin-1")
        await self.app(dict(scope, root_path=prefix, path=path, raw_path=raw_path), receive, sending)


class ForwardedPrefix(ProxyHeadersMiddleware):
    """Hears what a trusted proxy says of the path that it serves the lab below, beside scheme and caller."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client is not None and client[0] in self.trusted_hosts:
            said = next((value for name, value in scope["headers"] if name == FORWARDED_PREFIX), b"")
            prefix = said.decode("latin-1").partition(",")[0].strip().rstrip("/")
            if re.fullmatch(ROOT_PATH, prefix):
                scope["root_path"] = prefix
        await super().__call__(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes of the cookies that this lab gives the browser behind a request."""

    session: str
    csrf: str
    openid: str
    path: str
    secure: bool


def cookies_of(request: Request) -> Cookies:
    prefix: str = request.scope.get("root_path", "")
    public = _public_url(request)
    port = _port(request) if public is None else urlsplit(public).port
    secure = request.url.scheme == "https"
    # The browser itself sees to it that such a cookie came over TLS, from this host and for all of it.
    start = "__Host-" if secure and not prefix else ""
    where = NOT_IN_NAMES.sub("_", f"{port or ''}{prefix}").strip("_")
    end = f"_{where}" if where else ""
    return Cookies(
        session=f"{start}gpulab_session{end}",
        csrf=f"{start}gpulab_csrf{end}",
        openid=f"gpulab_openid{end}",
        path=prefix or "/",
        secure=secure,
    )


def base_url(request: Request) -> str:
    """Where the lab is for the client that asks, without a slash at the end."""
    return (_public_url(request) or str(request.base_url)).rstrip("/")


def _public_url(request: Request) -> str | None:
    said: str | None = getattr(request.app.state, "public_url", None)
    return said


def _port(request: Request) -> int | None:
    """None where it is the scheme's own, which browsers do not send."""
    port = request.url.port
    return None if port == DEFAULT_PORTS.get(request.url.scheme) else port


def _without(prefix: str, path: str) -> str:
    return path[len(prefix) :] or "/" if path == prefix or path.startswith(f"{prefix}/") else path


def _below(prefix: str, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    inside = name.lower() == b"location" and value.startswith(b"/") and not value.startswith(b"//")
    return name, prefix.encode() + value if inside else value
