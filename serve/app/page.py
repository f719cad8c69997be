"""The map page at `/` and the description of the API at `/docs`, as `make web` builds them under serve/web/dist.

Both come from this server alone: no script, font or style of another host, and a policy that forbids them. Without a
build `/` says what to do, `/docs` lists the routes in plain HTML, and the API serves on.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

DIST = Path(__file__).resolve().parents[1] / "web" / "dist"
_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1.5rem;color:#16211f;"
    "background:#f7f9f8}code{background:#e4ebe8;padding:.1em .35em;border-radius:.3em}a{color:#0b6b5f}"
    "h2{font-size:1rem;margin:2rem 0 .2rem}p{margin:.2rem 0 .8rem;white-space:pre-line}"
    "@media(prefers-color-scheme:dark){body{color:#e6edeb;background:#0e1514}code{background:#1e2a28}a{color:#4fd1bd}}"
)
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{_STYLE_HASH}'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_FRESH = {**HEADERS, "Cache-Control": "no-cache"}
_METHODS = ("get", "post", "put", "delete")


def add_page(app: FastAPI, dist: Path = DIST) -> None:
    """Add `/`, `/docs` and what they load to an app; what is built while the server runs is served at once."""

    async def page() -> Response:
        return _built(dist / "index.html") or _say("Nadir", _MISSING)

    async def docs() -> Response:
        return _built(dist / "docs.html") or _say("Nadir: the API", "".join(_routes(app.openapi())))

    async def icon() -> Response:
        return _built(dist / "favicon.svg") or Response(status_code=404)

    for path, give in (("/", page), ("/docs", docs), ("/favicon.svg", icon)):
        app.get(path, include_in_schema=False)(give)
    app.mount("/assets", _Assets(directory=dist / "assets", check_dir=False), name="assets")


class _Assets(StaticFiles):
    """Serve scripts and styles, whose names change with their content, to be kept for a year."""

    async def check_config(self) -> None:
        """Take a folder that is not there yet for one without files."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update({**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"})
        return response


_MISSING = """
<p>The server runs and its API answers, but the map page is not built here.</p>
<p>Install Node.js 20.19 or newer, run <code>make web</code> in the checkout, and load this page again.
The server need not be started anew.</p>
<p><a href="/docs">The API, route by route</a></p>
"""


def _built(path: Path) -> Response | None:
    return FileResponse(path, headers=_FRESH) if path.is_file() else None


def _say(title: str, body: str) -> Response:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    text = f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body><h1>{title}</h1>{body}'
    return HTMLResponse(text + "</body></html>", headers=_FRESH)


def _routes(document: dict[str, Any]) -> Iterator[str]:
    """Write each route of an OpenAPI document as a heading and its words."""
    yield '<p>Every field of every route: <a href="/openapi.json">openapi.json</a></p>'
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                words = html.escape(methods[method].get("description", ""))
                yield f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{words}</p>"
