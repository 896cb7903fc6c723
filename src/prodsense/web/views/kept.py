"""What people leave on pages: saved views and known events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response

from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.views.common import back
from prodsense.web.views.identity import local

router = APIRouter(include_in_schema=False)

_LONGEST = 200


@router.post("/views", dependencies=[may("save")])
def save_view(
    site: CurrentSite, who: CurrentActor, path: Annotated[str, Form()], title: Annotated[str, Form()],
    shared: Annotated[str, Form()] = "",
) -> Response:
    """Keep the address of a page under a name."""
    name = _text(title, "name")
    site.store.save_view(who, name, local(path[:4000]), shared=shared == "1")
    return back(path, "view")


@router.post("/views/{identity}/remove", dependencies=[may("save")])
def drop_view(site: CurrentSite, who: CurrentActor, identity: str, next: Annotated[str, Form()] = "/") -> Response:
    """Drop one of one's own views."""
    if not site.store.drop_view(who, identity):
        raise WebError(404, "there is no such view of yours")
    return back(next, "gone")


@router.post("/events", dependencies=[may("act")])
def add_event(
    site: CurrentSite, who: CurrentActor, at: Annotated[str, Form()], text: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/", pack: Annotated[str, Form()] = "",
) -> Response:
    """Note what happened on a day."""
    site.store.annotate(who, periods.read_day(at, "day").isoformat(), _text(text, "event"), pack=pack)
    return back(next, "event")


@router.post("/events/{identity}/remove", dependencies=[may("act")])
def drop_event(site: CurrentSite, identity: str, next: Annotated[str, Form()] = "/") -> Response:
    """Drop a known event."""
    if not site.store.drop_annotation(identity):
        raise WebError(404, "there is no such event")
    return back(next, "gone")


def _text(given: str, what: str) -> str:
    text = " ".join(given.split())
    if not text or len(text) > _LONGEST:
        raise UsageError(f"the {what} takes 1 to {_LONGEST} characters")
    return text
