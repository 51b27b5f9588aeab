"""Serves the built dashboard: the page itself at every address that is not the API's, and its hashed files.

The page is always asked for again; a hashed file never changes and is kept for good. The policy lets a page load
nothing from another host and run no script that is not a file of ours. Styles may be inline: the component library sets
them so.
"""

import re
from html import escape
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI
from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from api.http import etag
from api.http.base_path import cookies_of
from api.web.built_folder import SAFE, BuiltFolder
from gpulab.version import VERSION, WHEEL

BUILT = Path(__file__).resolve().parents[2] / "dashboard" / "dist"
RESERVED = frozenset({"v1", "healthz", "readyz", "metrics", "openapi.json", "problems", "client", "docs"})
"""First parts of the API's own addresses; the dashboard has no page below them."""
FOR_GOOD = "public, max-age=31536000, immutable"
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>gpulab</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}</style>
<h1>The lab is up; its dashboard is not built</h1>
<p>Build it once, in the checkout that this lab runs from, and load this page again:</p>
<pre>make dashboard</pre>
<p>Everything else works: <code>gpulab --help</code> in a terminal, and the API that
<a href="{prefix}/openapi.json">/openapi.json</a> describes.</p>
</html>
"""


class Dashboard(BaseRoute):
    """The last route: a `GET` that no other route takes."""

    path = "/{page}"
    """How requests are named in the metrics."""

    def __init__(self, built: Path = BUILT) -> None:
        self._built = BuiltFolder(built)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return Match.NONE, {}
        first = scope["path"].lstrip("/").partition("/")[0]
        # A program with a mistyped address gets a problem; only browsers get a page.
        wanted = scope["path"] == "/" or self._built.holds(scope["path"]) or "text/html" in _header(scope, b"accept")
        return (Match.FULL, {"route": self}) if wanted and first not in RESERVED else (Match.NONE, {})

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await to_thread.run_sync(self._response, Request(scope))
        await response(scope, receive, send)

    def _response(self, request: Request) -> Response:
        path: str = request.scope["path"]
        if "//" in path:
            # Browsers would take the second part for a host.
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(re.sub("/+", "/", path) + query, 308)
        name = path.lstrip("/")
        if name and self._built.holds(name):
            kept = FOR_GOOD if name.startswith("assets/") else "no-cache"
            return self._built.file(name, request, kept)
        return self._page(request)

    def _page(self, request: Request) -> Response:
        try:
            body = _placed(request, self._built.text("index.html"))
        except FileNotFoundError:
            words = NOT_BUILT.replace("{prefix}", escape(request.scope.get("root_path", "")))
            return HTMLResponse(words, 503, SAFE | {"Cache-Control": "no-store"})
        tag = etag.of_body(body)
        headers = SAFE | {"Cache-Control": "no-cache", "ETag": tag}
        if etag.matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        return HTMLResponse(body, headers=headers)


def install(app: FastAPI, built: Path = BUILT) -> None:
    """Add the dashboard behind all routes that are there."""
    app.router.routes.append(Dashboard(built))


def _placed(request: Request, page: str) -> bytes:
    """The page with addresses that hold at every depth below the lab's path, and with what it must know of its lab."""
    prefix = request.scope.get("root_path", "")
    facts = {"base": prefix, "csrf-cookie": cookies_of(request).csrf, "wheel": WHEEL, "version": VERSION}
    metas = "".join(f'<meta name="gpulab-{name}" content="{escape(value)}">' for name, value in facts.items())
    return page.replace('="./', f'="{escape(prefix)}/').replace("<head>", f"<head>{metas}", 1).encode()


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
