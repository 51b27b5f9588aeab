"""A page of a few sentences for a browser, where the dashboard cannot answer."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.web.built_folder import SAFE

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>body{{font:16px/1.6 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;overflow-wrap:anywhere}}
</style>
<h1>{title}</h1>
{text}
<p><a href="{root}/">Go to the lab</a></p>
</html>
"""


def plain_page(request: Request, status: int, title: str, text: str) -> Response:
    """`text` is HTML."""
    words = PAGE.format(title=escape(title), text=text, root=escape(request.scope.get("root_path", "")))
    return HTMLResponse(words, status, SAFE | {"Cache-Control": "no-store"})
