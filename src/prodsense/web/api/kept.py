"""What people keep: saved views, and known events noted on the time axis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool, field_validator

from prodsense.errors import UsageError
from prodsense.web.api.common import Day, Word, found, problems
from prodsense.web.security import CurrentActor, CurrentSite, may

router = APIRouter(prefix="/api/v1", tags=["kept"])

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Identity = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class NewView(BaseModel):
    """A page to keep: `path` is its address on this site. Shared ones are seen by all of the same role."""

    model_config = {"extra": "forbid"}
    title: Text
    path: Annotated[str, Field(max_length=2000, pattern=r"^/([^/\\\x00-\x20\x7f][^\\\x00-\x20\x7f]*)?$")]
    shared: StrictBool = False


class View(NewView):
    model_config = {"extra": "ignore"}
    id: str
    owner: str
    created_at: datetime

    @field_validator("created_at", mode="before")
    @classmethod
    def _moment(cls, value: float) -> datetime:
        return datetime.fromtimestamp(value, UTC)


class NewAnnotation(BaseModel):
    """A known event: a day (or `at` to `until`, both inside) and what happened; of a pack or metric, or of all."""

    model_config = {"extra": "forbid"}
    at: Day
    until: Day | None = None
    text: Text
    pack: Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9_]*$")] = ""
    metric: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_]*$")] = ""


class Annotation(NewAnnotation):
    model_config = {"extra": "ignore"}
    id: str
    author: str


class Made(BaseModel):
    id: str


@router.get("/views", dependencies=[may("read")], responses=problems())
def views(site: CurrentSite, who: CurrentActor) -> list[View]:
    """The caller's saved views, and those shared by others of the same role."""
    return [View(**row) for row in site.store.views(who)]


@router.post("/views", status_code=201, dependencies=[may("save")], responses=problems(400))
def save_view(site: CurrentSite, who: CurrentActor, view: NewView) -> Made:
    """Keep a page's address under a title."""
    return Made(id=site.store.save_view(who, view.title, view.path, shared=view.shared))


@router.delete(
    "/views/{identity}", status_code=204, response_class=Response, dependencies=[may("save")], responses=problems(404)
)
def drop_view(site: CurrentSite, who: CurrentActor, identity: Identity) -> None:
    """Drop one of the caller's own views."""
    found(site.store.drop_view(who, identity), "view of yours")


@router.get("/annotations", dependencies=[may("read")], responses=problems())
def known_events(
    site: CurrentSite, who: CurrentActor, pack: Annotated[Word | None, Query()] = None,
    metric: Annotated[Word | None, Query()] = None,
) -> list[Annotation]:
    """Known events in order of time."""
    return [Annotation(**row) for row in site.store.annotations(pack, metric)]


@router.post("/annotations", status_code=201, dependencies=[may("act")], responses=problems(400))
def annotate(site: CurrentSite, who: CurrentActor, event: NewAnnotation) -> Made:
    """Note a known event."""
    if event.until is not None and event.until < event.at:
        raise UsageError(f"until {event.until} is before at {event.at}")
    until = event.until.isoformat() if event.until else None
    return Made(id=site.store.annotate(who, event.at.isoformat(), event.text, until=until, pack=event.pack,
                                       metric=event.metric))  # fmt: skip


@router.delete(
    "/annotations/{identity}", status_code=204, response_class=Response, dependencies=[may("act")],
    responses=problems(404),
)
def drop_annotation(site: CurrentSite, who: CurrentActor, identity: Identity) -> None:
    """Drop a known event."""
    found(site.store.drop_annotation(identity), "annotation")
