"""Coming in and going out: password, one-time link, sign-out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from prodsense.web.rendering import give_cookie, page
from prodsense.web.security import COOKIE, CurrentActor, CurrentSite, Sessions, WebError, may

router = APIRouter(include_in_schema=False)


@router.get("/sign-in", dependencies=[may("public")])
def sign_in_page(request: Request, who: CurrentActor, next: str = "/") -> Response:
    """The form; those who are in already go on."""
    if who.known:
        return RedirectResponse(local(next), 303)
    return page(request, "sign_in.html", next=local(next), problem="")


@router.post("/sign-in", dependencies=[may("public")])
def sign_in(
    request: Request, site: CurrentSite, name: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Check a password. Wrong name and wrong password are one answer."""
    request.app.state.limits.sign_in(request, name)
    user = site.store.check_password(name, password)
    if user is None:
        request.state.refused = "wrong name or password"
        return page(request, "sign_in.html", status=401, next=local(next), problem="Wrong name or password.")
    return _let_in(request, user, local(next))


@router.get("/sign-in/{link}", dependencies=[may("public")])
def link_page(request: Request, link: str) -> Response:
    """A one-time link opens a page with a button: what only looks at links (mail scanners) must not use it up."""
    return page(request, "sign_in_link.html", link=link)


@router.post("/sign-in/{link}", dependencies=[may("public")])
def use_link(request: Request, site: CurrentSite, link: str) -> Response:
    """Sign in by a one-time link."""
    request.app.state.limits.sign_in(request, "a link")
    user = site.store.use_link(link)
    if user is None:
        raise WebError(403, "the link was used, or is too old; ask for another")
    return _let_in(request, user, "/")


@router.post("/sign-out", dependencies=[may("public")])
def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


def _let_in(request: Request, user: dict[str, Any], target: str) -> Response:
    sessions: Sessions = request.app.state.sessions
    request.app.state.site.store.seen(user["name"])
    answer = RedirectResponse(target, 303)
    # A new session each time: a cookie that was planted before signing in is worth nothing.
    give_cookie(request, answer, sessions.new(user))
    return answer


def local(path: str) -> str:
    """A path of this site; anything else is the home page."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain else "/"
