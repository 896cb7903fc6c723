"""Who may come in: users, tokens, the audit; and everybody's own account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import ValidationError

from prodsense.errors import UsageError
from prodsense.privacy.roles import STANDARD
from prodsense.web.api import admin
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.site import Site
from prodsense.web.views.common import back, show
from prodsense.web.views.identity import _let_in

router = APIRouter(include_in_schema=False)

TABS = (("Users", "/admin"), ("Tokens", "/admin/tokens"), ("Audit", "/admin/audit"))
#: Lines of the audit on a page.
PAGE = 100


def tabs(current: str) -> list[tuple[str, str, bool]]:
    """The tabs of the admin pages."""
    return [(text, address, address == current) for text, address in TABS]


# -- users -------------------------------------------------------------------------------------------


@router.get("/admin", dependencies=[may("admin")])
def users(request: Request, site: CurrentSite) -> Response:
    """All users, and the form for a new one."""
    return _users(request, site)


def _users(request: Request, site: Site, link: str = "", whom: str = "") -> Response:
    rows = [
        {**user, "attributes": written(user["attributes"]), "seen": moment(user["seen_at"])}
        for user in site.store.users()
    ]
    address = str(request.base_url).rstrip("/") + link if link else ""
    return show(
        request, "admin_users.html", "Users", tabs=tabs("/admin"), users=rows, roles=roles(site), link=address,
        whom=whom,
    )  # fmt: skip


@router.post("/admin/users", dependencies=[may("admin")])
def add_user(
    request: Request, site: CurrentSite, name: Annotated[str, Form()], role: Annotated[str, Form()],
    attributes: Annotated[str, Form()] = "",
) -> Response:
    """Make a user; the page then shows the link by which they come in once."""
    user = checked(admin.NewUser, name=name.strip(), role=role, attributes=read_attributes(attributes))
    return _users(request, site, admin.add_user(site, user).path, user.name)


@router.post("/admin/users/{name}/link", dependencies=[may("admin")])
def link(request: Request, site: CurrentSite, name: str) -> Response:
    """A new link for a user."""
    return _users(request, site, admin.link(site, name).path, name)


@router.post("/admin/users/{name}", dependencies=[may("admin")])
def change_user(
    site: CurrentSite, who: CurrentActor, name: str, role: Annotated[str, Form()] = "",
    attributes: Annotated[str | None, Form()] = None, disabled: Annotated[str, Form()] = "",
) -> Response:
    """Change a user's role and attributes, or let them in no more (or again)."""
    change: dict[str, Any] = {}
    if role:
        change |= {"role": role, "attributes": read_attributes(attributes or "")}
    if disabled:
        change["disabled"] = disabled == "1"
    admin.change_user(site, who, name, checked(admin.ChangedUser, **change))
    return back("/admin", "changed")


# -- tokens ------------------------------------------------------------------------------------------


@router.get("/admin/tokens", dependencies=[may("admin")])
def tokens(request: Request, site: CurrentSite) -> Response:
    """All tokens, and the form for a new one."""
    return _tokens(request, site)


def _tokens(request: Request, site: Site, token: str = "") -> Response:
    rows = [
        {**row, "attributes": written(row["attributes"]), "made": moment(row["created_at"]),
         "expires": moment(row["expires_at"]), "used": moment(row["used_at"])} for row in site.store.tokens()
    ]  # fmt: skip
    return show(request, "admin_tokens.html", "Tokens", tabs=tabs("/admin/tokens"), tokens=rows, roles=roles(site),
                token=token)


@router.post("/admin/tokens", dependencies=[may("admin")])
def add_token(
    request: Request, site: CurrentSite, who: CurrentActor, label: Annotated[str, Form()], role: Annotated[str, Form()],
    attributes: Annotated[str, Form()] = "", days: Annotated[str, Form()] = "90",
) -> Response:
    """Make a token; the page then shows it this once."""
    if days and not days.isdigit():
        raise UsageError(f"{days!r} is no number of days; leave it empty for a token without an end")
    wanted = checked(
        admin.NewToken, label=label.strip(), role=role, attributes=read_attributes(attributes),
        days=int(days) if days else None,
    )  # fmt: skip
    return _tokens(request, site, admin.add_token(site, who, wanted).token)


@router.post("/admin/tokens/{identity}/remove", dependencies=[may("admin")])
def drop_token(site: CurrentSite, identity: str) -> Response:
    """Make a token void."""
    if not site.store.drop_token(identity):
        raise WebError(404, "there is no such token")
    return back("/admin/tokens", "gone")


# -- audit -------------------------------------------------------------------------------------------


@router.get("/admin/audit", dependencies=[may("admin")])
def audit(request: Request, site: CurrentSite, actor: str = "", before: int | None = None) -> Response:
    """Who asked what, the newest first."""
    found = site.store.audit(PAGE + 1, before, actor or None)
    rows = [{**row, "at": moment(row["at"])} for row in found[:PAGE]]
    return show(
        request, "admin_audit.html", "Audit", tabs=tabs("/admin/audit"), rows=rows, actor_name=actor,
        people=[("", "everybody"), *((u["name"], u["name"]) for u in site.store.users())],
        older=found[PAGE - 1]["id"] if len(found) > PAGE else None,
    )  # fmt: skip


# -- everybody's own ---------------------------------------------------------------------------------


@router.get("/account", dependencies=[may("read")])
def account(request: Request, who: CurrentActor) -> Response:
    """Who one is here, and the form for a new password."""
    return show(request, "account.html", "Your account", attributes=written(who.attributes), problem="")


@router.post("/account", dependencies=[may("save")])
def change_password(
    request: Request, site: CurrentSite, who: CurrentActor, password: Annotated[str, Form()],
    again: Annotated[str, Form()],
) -> Response:
    """Set one's own password; other open sessions end."""
    if who.via != "session":
        raise WebError(403, "a token cannot change a password: sign in")
    problem = "The two do not match." if password != again else ""
    if not problem:
        try:
            site.store.change_user(who.name, password=password)
        except UsageError as error:
            problem = error.message
    if problem:
        return show(request, "account.html", "Your account", status=400, attributes=written(who.attributes),
                    problem=problem)
    user = site.store.user(who.name)
    assert user is not None
    return _let_in(request, user, "/account?said=password")


# -- small things ------------------------------------------------------------------------------------


def roles(site: Site) -> list[tuple[str, str]]:
    """Roles as choices, the most restricted first: those of every site, and those that the project adds."""
    added = [name for name in getattr(site.warehouse, "role_settings", {}) if name not in STANDARD]
    return [(name, name) for name in ("partner", "executive", "operations", "analyst", "admin", *added)]


def written(attributes: Any) -> str:
    """Attributes as the form takes them: ``restaurant_id=7, city=Rome|Milan``."""
    return ", ".join(f"{k}={v if isinstance(v, str) else '|'.join(v)}" for k, v in dict(attributes).items())


def read_attributes(text: str) -> dict[str, str | list[str]]:
    """Attributes as written in the form; UsageError for what is none."""
    found: dict[str, str | list[str]] = {}
    for part in (p.strip() for p in text.split(",") if p.strip()):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"{part!r} is no attribute: write NAME=VALUE, several with commas between")
        values = [v.strip() for v in value.split("|") if v.strip()]
        found[name.strip()] = values if len(values) > 1 else values[0]
    return found


def checked(model: Any, **given: Any) -> Any:
    """A request of the API made from a form; UsageError that says which field is wrong."""
    try:
        return model(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc'])) or 'the form'}: {first['msg']}") from None


def moment(seconds: float | None) -> str:
    """A moment as a page shows it, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y, %H:%M") if seconds else ""
