"""`/docs`: the documentation of the version that this lab runs. Everybody who reaches the lab may read it."""

from html import escape
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from api.http import etag
from api.web.built_folder import SAFE, BuiltFolder
from api.web.plain_page import plain_page

BUILT = Path(__file__).resolve().parents[2] / "build" / "docs" / "site"
KEPT = "max-age=3600"
"""For files that are no pages. Few of their names hold a hash."""
NOT_BUILT = """<p>Build it once, in the checkout that this lab runs from, and load this page again:</p>
<pre>make docs</pre>
<p>The same pages are in the folder <code>docs/</code> of the checkout.</p>"""


class Docs:
    """The built site."""

    def __init__(self, built: Path = BUILT) -> None:
        self._built = BuiltFolder(built)

    def answer(self, request: Request) -> Response:
        name = request.path_params["name"] or "index.html"
        if name.endswith("/"):
            name += "index.html"
        if not self._built.holds("index.html"):
            return plain_page(request, 503, "The documentation of this lab is not built", NOT_BUILT)
        if not self._built.holds(name):
            back = f'<p><a href="{escape(request.scope.get("root_path", ""))}/docs/">Go to the documentation</a></p>'
            return plain_page(request, 404, "Page not found", back)
        if not name.endswith(".html"):
            return self._built.file(name, request, KEPT)
        return self._document(name, request)

    def _document(self, name: str, request: Request) -> Response:
        """A page of the site, which browsers ask for again."""
        response = self._built.file(name, request, "no-cache")
        response.set_stat_headers(Path(response.path).stat())
        if etag.matches(request.headers.get("if-none-match"), response.headers["etag"]):
            unchanged = {name: response.headers[name] for name in ("etag", "cache-control", "vary")}
            return Response(status_code=304, headers=SAFE | unchanged)
        return response


def install(app: FastAPI, built: Path = BUILT) -> None:
    """Add the routes. The links of the site are relative, so its start has a slash at the end."""
    app.router.routes.append(Route("/docs", _start))
    app.router.routes.append(Route("/docs/{name:path}", Docs(built).answer))


def _start(_: Request) -> Response:
    return RedirectResponse("/docs/", 308)
