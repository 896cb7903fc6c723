"""Who may come in: users, tokens, and the audit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool, field_validator

from prodsense.errors import ForbiddenError, UsageError
from prodsense.web.actor import Actor
from prodsense.web.api.common import Word, found, problems
from prodsense.web.security import CurrentActor, CurrentSite, may
from prodsense.web.site import Site

router = APIRouter(prefix="/api/v1", tags=["admin"], dependencies=[may("admin")])

Role = Annotated[str, Field(max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]
Value = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Attributes = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")],
        Value | Annotated[list[Value], Field(min_length=1, max_length=100)],
    ],
    Field(max_length=20),
]
#: Printable, without what parts an address, and without spaces at its ends.
_NAME = r"^[^\x00-\x20\x7f/?#]([^\x00-\x1f\x7f/?#]*[^\x00-\x20\x7f/?#])?$"
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=_NAME)]
Password = Annotated[str, Field(min_length=10, max_length=200)]


class NewUser(BaseModel):
    """A user; without a password they come in by the link that is returned."""

    model_config = {"extra": "forbid"}
    name: Name
    role: Role
    attributes: Attributes = {}
    password: Password | None = None


class ChangedUser(BaseModel):
    """What changes of a user; their open sessions end with it."""

    model_config = {"extra": "forbid"}
    role: Role | None = None
    attributes: Attributes | None = None
    password: Password | None = None
    disabled: StrictBool | None = None


class User(BaseModel):
    name: str
    role: str
    attributes: dict[str, str | list[str]]
    disabled: bool
    created_at: datetime
    seen_at: datetime | None

    _moments = field_validator("created_at", "seen_at", mode="before")(lambda value: _moment(value))


class Link(BaseModel):
    """A path that signs in once, within 15 minutes."""

    path: str


class NewToken(BaseModel):
    """A token of `owner` (the caller, unless given); it never may more than its role."""

    model_config = {"extra": "forbid"}
    label: Name
    role: Role
    attributes: Attributes = {}
    owner: Name | None = None
    days: Annotated[float | None, Field(gt=0, le=3660, strict=True)] = 90


class MadeToken(BaseModel):
    """The token is shown this once."""

    id: str
    token: str


class Token(BaseModel):
    id: str
    label: str
    owner: str
    role: str
    attributes: dict[str, str | list[str]]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None

    _moments = field_validator("created_at", "expires_at", "used_at", mode="before")(lambda value: _moment(value))


class Audited(BaseModel):
    """Who asked what, when, and how it ended; `rows` were shown, `refused` says why not."""

    id: int
    at: datetime
    actor: str
    role: str
    via: str
    method: str
    path: str
    status: int
    rows: int | None
    seconds: float
    refused: str

    _moments = field_validator("at", mode="before")(lambda value: _moment(value))


@router.get("/users", responses=problems())
def users(site: CurrentSite) -> list[User]:
    """All users."""
    return [User(**row) for row in site.store.users()]


@router.post("/users", status_code=201, responses=problems(400))
def add_user(site: CurrentSite, user: NewUser) -> Link:
    """Make a user; returns a link by which they come in once."""
    check_role(site, user.role, user.attributes)
    site.store.add_user(user.name, user.role, user.attributes, user.password)
    return Link(path=f"/sign-in/{site.store.add_link(user.name)}")


@router.patch("/users/{name}", status_code=204, response_class=Response, responses=problems(400, 404))
def change_user(site: CurrentSite, who: CurrentActor, name: Name, change: ChangedUser) -> None:
    """Change a user's role, attributes or password, or let them in no more."""
    known = {row["name"]: row for row in site.store.users()}
    user = found(known.get(name), "user")
    if change.role is not None or change.attributes is not None:
        attributes = user["attributes"] if change.attributes is None else change.attributes
        check_role(site, change.role or user["role"], attributes)
    keep_an_admin(site, name, change)
    site.store.change_user(name, **change.model_dump(exclude_none=True))


def keep_an_admin(site: Site, name: str, change: ChangedUser) -> None:
    """Refuse to take the last admin away."""
    admins = {row["name"] for row in site.store.users() if row["role"] == "admin" and not row["disabled"]}
    if admins == {name} and (change.disabled or change.role not in (None, "admin")):
        raise UsageError(f"{name} is the only admin: make another one first")


@router.post("/users/{name}/link", status_code=201, responses=problems(404))
def link(site: CurrentSite, name: Name) -> Link:
    """A link by which a user comes in once: for the first time, or without a password."""
    found(site.store.user(name), "user")
    return Link(path=f"/sign-in/{site.store.add_link(name)}")


@router.get("/tokens", responses=problems())
def tokens(site: CurrentSite) -> list[Token]:
    """All tokens, without their texts."""
    return [Token(**row) for row in site.store.tokens()]


@router.post("/tokens", status_code=201, responses=problems(400, 404))
def add_token(site: CurrentSite, who: CurrentActor, token: NewToken) -> MadeToken:
    """Make a token for the API. It ends with its time, or when its owner is disabled."""
    owner = token.owner or who.owner
    found(site.store.user(owner), "user")
    check_role(site, token.role, token.attributes)
    identity, text = site.store.add_token(token.label, owner, token.role, token.attributes, token.days)
    return MadeToken(id=identity, token=text)


@router.delete("/tokens/{identity}", status_code=204, response_class=Response, responses=problems(404))
def drop_token(site: CurrentSite, identity: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]) -> None:
    """Make a token void."""
    found(site.store.drop_token(identity), "token")


@router.get("/audit", responses=problems())
def audit(
    site: CurrentSite, limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None, actor: Annotated[Word | None, Query()] = None,
) -> list[Audited]:
    """Who asked what, the newest first; go on with `before`, the last id."""
    return [Audited(**row) for row in site.store.audit(limit, before, actor)]


def check_role(site: Site, role: str, attributes: dict[str, str | list[str]]) -> None:
    """UsageError for a role that is not there, or attributes that do not fit it."""
    if role == "admin" and attributes:
        raise UsageError("an admin has no attributes: they see everything")
    try:
        with site.reader(Actor("check", role, attributes, "token")):
            pass
    except ForbiddenError as error:
        raise UsageError(error.message) from None


def _moment(value: Any) -> Any:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


