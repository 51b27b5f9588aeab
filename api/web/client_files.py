"""`/client`: the lab hands out its own client to everybody who can reach it.

A page for users, the wheel, and an index as pip reads it (PEP 503). The name `gpulab` on a public index may be
anybody's; this way nobody has to ask there for it.
"""

from html import escape

from anyio import to_thread
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from api.http import etag
from api.http.base_path import base_url
from api.http.long_answers import Whole
from api.http.problems import NotFound
from api.web.built_folder import SAFE
from api.web.client_wheel import Wheel, wheel
from gpulab.version import VERSION, install_line

WHEEL_TYPE = "application/octet-stream"
STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}"
    "pre{padding:.7rem 1rem;border:1px solid #8886;border-radius:6px;overflow-x:auto}"
)
PAGE = r"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>The client of this lab</title><style>{style}</style></head><body>
<h1>The client of this lab</h1>
<p>It brings the command <code>gpulab</code> and the Python package of the same name, in version {version}, which is the
lab's own. It needs Python {python}.</p>
<pre>{install}</pre>
<p>If pip answers <code>externally-managed-environment</code>, make an environment first. On Linux and macOS:</p>
<pre>python3 -m venv ~/gpulab-client
. ~/gpulab-client/bin/activate</pre>
<p>In PowerShell:</p>
<pre>py -m venv $HOME\gpulab-client
&amp; $HOME\gpulab-client\Scripts\Activate.ps1</pre>
<p>Then sign in. The command asks for your token and keeps it, with the lab's address, for later commands.</p>
<pre>gpulab sign-in {url}</pre>
<p><a href="{url}/client/{name}">{name}</a>, SHA-256 <code style="overflow-wrap:anywhere">{sha256}</code></p>
</body></html>
"""
INDEX = """<!doctype html>
<html><head><meta name="pypi:repository-version" content="1.0"><title>{title}</title></head><body>
{link}
</body></html>
"""


async def _page(request: Request) -> Response:
    made = await _wheel()
    url = base_url(request)
    facts = {"install": install_line(url, VERSION), "url": url, "version": VERSION, "python": made.requires_python}
    facts |= {"name": made.name, "sha256": made.sha256}
    return _html(request, PAGE.format(style=STYLE, **{name: escape(value) for name, value in facts.items()}))


async def _projects(request: Request) -> Response:
    link = f'<a href="{escape(_root(request))}/client/simple/gpulab/">gpulab</a>'
    return _html(request, INDEX.format(title="Packages of this lab", link=link))


async def _files(request: Request) -> Response:
    made = await _wheel()
    address = f"{_root(request)}/client/{made.name}#sha256={made.sha256}"
    needs = escape(made.requires_python)
    link = f'<a href="{escape(address)}" data-requires-python="{needs}">{made.name}</a>'
    return _html(request, INDEX.format(title="Files of gpulab", link=link))


async def _file(request: Request) -> Response:
    made = await _wheel()
    if request.path_params["name"] != made.name:
        raise NotFound(f"the client of this lab is {made.name}; see /client")
    return _answer(request, made.content, WHEEL_TYPE)


def install(app: FastAPI) -> None:
    """Add the routes. They are for pip and for users, and no part of the contract."""
    for path, endpoint in (("", _page), ("/simple", _projects), ("/simple/gpulab", _files)):
        for address in (f"/client{path}", f"/client{path}/"):
            app.router.routes.append(Route(address, endpoint))
    app.router.routes.append(Route("/client/{name}", _file))


async def _wheel() -> Wheel:
    try:
        return await to_thread.run_sync(wheel)
    except FileNotFoundError as error:
        raise NotFound(f"this lab has no client to offer: {error.filename} is missing") from None


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _html(request: Request, text: str) -> Response:
    return _answer(request, text.encode(), HTMLResponse.media_type + "; charset=utf-8")


def _answer(request: Request, body: bytes, media_type: str) -> Response:
    tag = etag.of_body(body)
    headers = SAFE | {"Cache-Control": "no-cache", "ETag": tag}
    if etag.matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Whole(body, headers=headers, media_type=media_type)
