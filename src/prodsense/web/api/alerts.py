"""The queue of findings: what is off, who looks at it, until when it is out of sight."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from prodsense.warehouse import Warehouse
from prodsense.web.api.common import Day, JobAnswer, Pack, RowsAnswer, Word, problems
from prodsense.web.api.data import plain
from prodsense.web.jobs import Job
from prodsense.web.security import CurrentActor, CurrentSite, may
from prodsense.web.site import as_seen_by

router = APIRouter(prefix="/api/v1", tags=["alerts"], dependencies=[may("act")])

Ids = Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{4,12}$")]], Field(max_length=200)]


class Change(BaseModel):
    """What to do with findings, by id: acknowledge, close, reopen, snooze `until` a day, assign `to` somebody."""

    model_config = {"extra": "forbid"}
    ack: Ids = []
    close: Ids = []
    reopen: Ids = []
    snooze: Ids = []
    until: Day | None = None
    assign: Ids = []
    to: Annotated[str | None, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")] = None
    note: Annotated[str | None, Field(max_length=1000, pattern=r"^[^\x00]*$")] = None


@router.get("/findings", responses=problems(400))
def findings(
    who: CurrentActor, site: CurrentSite,
    state: Annotated[Literal["open", "ack", "closed", "all"] | None, Query(description="Not closed ones.")] = None,
) -> RowsAnswer:
    """The queue, worst and newest first."""
    with site.reader(who) as warehouse:
        return RowsAnswer(**warehouse.findings(state).to_dict())


@router.post("/findings", responses=problems(400, 404))
def change(who: CurrentActor, site: CurrentSite, change: Change) -> RowsAnswer:
    """Acknowledge, close, reopen, snooze or assign findings; returns them as they are now."""
    with site.writer() as warehouse:
        given = change.model_dump(exclude_unset=True)
        return RowsAnswer(**as_seen_by(who, warehouse).findings(**given).to_dict())


@router.post("/detect", status_code=202, responses=problems(400))
def detect(
    who: CurrentActor, site: CurrentSite, name: Annotated[list[Word], Query(max_length=30)] = [],  # noqa: B006
    pack: Pack = None,
) -> JobAnswer:
    """Run detectors and put what they find into the queue; returns the job that does it."""

    def work(warehouse: Warehouse, job: Job) -> dict[str, Any]:
        return warehouse.detect(*name, pack=pack, queue=True).to_dict()

    return JobAnswer(**plain(site.jobs.submit("detect", who.name, work)))
