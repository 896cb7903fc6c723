"""The server as one ASGI application."""

from __future__ import annotations

import gzip
import logging
import time
from functools import lru_cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prodsense import __version__
from prodsense.errors import (
    ForbiddenError,
    LockedError,
    NotBuiltError,
    ProdsenseError,
    TooLongError,
    UnknownNameError,
    UsageError,
)
from prodsense.web import rendering
from prodsense.web.actor import NOBODY
from prodsense.web.security import HEADERS, Limits, May, Sessions, WebError, may
from prodsense.web.site import BusyError, Site

PROBLEM = "application/problem+json"

log = logging.getLogger("prodsense.web")


def create_app(site: Site) -> FastAPI:
    """The application over a site: pages, the API and the static files."""
    from prodsense.web import api, views
    from prodsense.web.api.document import document

    app = FastAPI(
        title=f"{site.settings.title} API", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.site = site
    app.state.sessions = Sessions(site.store.secret(), site.settings.session_hours * 3600)
    app.state.limits = Limits(site.settings.api_rate, site.settings.sign_in_rate)
    app.get("/static/{version}/{name:path}", dependencies=[may("public")], include_in_schema=False)(static)
    for router in (*api.ROUTERS, *views.ROUTERS):
        # Taken over as they are: an included router would hide its routes from `check_doors`.
        app.router.routes.extend(router.routes)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    app.add_middleware(Around)
    for kind in (ProdsenseError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, failed)
    check_doors(app)
    return app


def check_doors(app: FastAPI) -> None:
    """Deny by default: no route is served that does not say who may call it."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or not doors(route):
            raise RuntimeError(f"the route {getattr(route, 'path', route)} declares no permission; see security.may")


def doors(route: APIRoute) -> list[str]:
    """The permissions that a route asks for."""
    return [d.call.permission for d in route.dependant.dependencies if isinstance(d.call, May)]


# -- around every request ----------------------------------------------------------------------------


class Around:
    """Headers for every answer, an answer for every error, and a line of the audit for all but static files."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        started = time.perf_counter()
        status = 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, receive, dressed)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.url.path)
            if status:
                raise
            await failed(request, error)(scope, receive, dressed)
        if not request.url.path.startswith("/static/"):
            audit(request, status, time.perf_counter() - started)


def audit(request: Request, status: int, seconds: float) -> None:
    """Write down who asked what."""
    who = getattr(request.state, "actor", NOBODY)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if path.startswith("/sign-in/"):
        path = "/sign-in/..."  # a link is a key
    request.app.state.site.store.note(
        who, request.method, path[:2000], status, seconds, getattr(request.state, "rows", None),
        getattr(request.state, "refused", ""),
    )


def failed(request: Request, error: Exception) -> Response:
    """An error as the asker can use it: JSON for the API, a page for people, one line in both."""
    status, message, headers = told(error)
    if status == 405:
        headers["Allow"] = ", ".join(methods_of(request))
    if status in (401, 403, 429):
        request.state.refused = message
    if request.url.path.startswith("/api/"):
        return problem(status, message, headers)
    if status == 401 and request.method == "GET":
        from urllib.parse import quote

        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(here, safe='')}", 303)
    try:
        rendering.actor(request)
    except WebError:
        request.state.actor = NOBODY
    answer = rendering.page(request, "error.html", status=status, code=status, message=message)
    answer.headers.update(headers)
    return answer


def methods_of(request: Request) -> list[str]:
    """The methods that an address takes, over all of its routes."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return sorted(found)


def problem(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """One line as a problem document (RFC 9457)."""
    from http import HTTPStatus

    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": message}
    return JSONResponse(body, status, headers, PROBLEM)


def told(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, line and headers of an error. What was not raised on purpose says nothing of the inside."""
    match error:
        case WebError():
            return error.status, error.message, error.headers
        case BusyError():
            return 503, error.message, {"Retry-After": "1"}
        case NotBuiltError():
            return 409, error.message, {}
        case LockedError() | TooLongError():
            return 503, error.message, {}
        case ForbiddenError():
            return 403, error.message, {}
        case UnknownNameError():
            return 404, error.message, {}
        case UsageError():
            return 400, error.message, {}
        case ProdsenseError():
            return 422, error.message, {}
        case HTTPException():
            return error.status_code, str(error.detail), dict(error.headers or {})
        case RequestValidationError():
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:])
            return 422, f"{where}: {first['msg']}".removeprefix(": "), {}
    return 500, "something went wrong inside; it is in the server's log", {}


# -- static files ------------------------------------------------------------------------------------


def static(request: Request, version: str, name: str) -> Response:
    """A file of ``static/``, kept for good by browsers, since its address changes with it."""
    found = rendering.static_file(name)
    if found is None:
        raise WebError(404, f"no file named {name}")
    content, kind, now = found
    kept = "public, max-age=31536000, immutable" if version == now else "no-cache"
    headers: dict[str, Any] = {"Cache-Control": kept, "Vary": "Accept-Encoding", "ETag": f'"{now}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", "") and len(content) > 1000:
        return Response(_packed(name, now), media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(content, media_type=kind, headers=headers)


@lru_cache(maxsize=256)
def _packed(name: str, version: str) -> bytes:
    found = rendering.static_file(name)
    assert found is not None
    return gzip.compress(found[0], 6)
