"""The methods on any event table of the warehouse: funnel, retention, lifecycle, paths, sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from prodsense.contracts.options import Entries, Order, Period, Return, Shape, split_names
from prodsense.contracts.vocabulary import Comparison, Grain
from prodsense.web.api.common import (
    AsOf,
    Form,
    RowsAnswer,
    Since,
    Until,
    Where,
    Word,
    Words,
    Zone,
    documented,
    give,
    zone_of,
)
from prodsense.web.security import may

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.behavior.result import Answer
    from prodsense.engines.base import Engine
    from prodsense.metrics.result import Rows

router = APIRouter(prefix="/api/v1", tags=["behaviour"], dependencies=[may("read")])

Table = Annotated[Word, Query(description="A table, view or model, or a pack that declares its event table.")]
Column = Annotated[Word | None, Query(description="A column; not needed where the pack declares its event table.")]
_LENGTH = r"^[0-9]+(\.[0-9]+)?\s*[a-z]+$"
Length = Annotated[str | None, Query(max_length=20, pattern=_LENGTH, description="7d, 12h, 30m")]
_ALL = documented(*Form)


def _told(
    request: Request, table: str, columns: dict[str, Any], where: str | None,
    method: Callable[[EventTable], Any], form: Form, name: str,
) -> Response:
    return give(request, lambda wh: method(wh.events(table, **columns, where=where or "")), form, name=name)


@router.get("/funnel", response_model=RowsAnswer, responses=_ALL)
def funnel(
    request: Request, table: Table, step: Annotated[list[Word], Query(min_length=1, max_length=20)],
    user: Column = None, time: Column = None, event: Column = None, within: Length = None,
    order: Order = "ordered", entries: Entries = "first",
    by: Words = [], since: Since = None, until: Until = None, compare: Comparison | None = None,  # noqa: B006
    as_of: AsOf = None, where: Where = None, tz: Zone = None, format: Form = Form.json,
) -> Response:
    """How many who begin get how far, and how long it takes. ``?EVENT`` is an optional step."""
    from prodsense.behavior.funnel import funnel as ask
    from prodsense.behavior.funnel_steps import read_steps

    steps = read_steps(step, order=order)
    zone = zone_of(request, tz)
    return _told(
        request, table, {"user": user, "time": time, "event": event}, where,
        lambda events: ask(
            events, steps, within=within, order=order, entries=entries, by=split_names(by), since=since, until=until,
            compare=compare, as_of=as_of, tz=zone,
        ),
        format, "funnel",
    )  # fmt: skip


@router.get("/retention", response_model=RowsAnswer, responses=_ALL)
def retention(
    request: Request, table: Table, user: Column = None, time: Column = None, event: Column = None,
    start_event: Annotated[Word | None, Query()] = None, return_event: Annotated[Word | None, Query()] = None,
    cohort: Annotated[Word, Query()] = "first", by: Words = [],  # noqa: B006
    days: Annotated[int | None, Query(ge=1, le=1000)] = None, weeks: Annotated[int | None, Query(ge=1, le=200)] = None,
    months: Annotated[int | None, Query(ge=1, le=60)] = None,
    kind: Return = "exact",
    brackets: Annotated[str | None, Query(max_length=100, pattern=r"^[0-9,\s-]+$")] = None, grain: Grain | None = None,
    since: Since = None, until: Until = None, compare: Comparison | None = None, as_of: AsOf = None,
    where: Where = None, tz: Zone = None, format: Form = Form.json,
) -> Response:
    """Which share of the users who entered came back, by day of entry."""
    from prodsense.behavior import retention as ask

    zone = zone_of(request, tz)
    return _told(
        request, table, {"user": user, "time": time, "event": event}, where,
        lambda events: ask(
            events, start_event=start_event, return_event=return_event, cohort=cohort, by=split_names(by), days=days,
            weeks=weeks, months=months, kind=kind, brackets=brackets, grain=grain, since=since, until=until,
            compare=compare, as_of=as_of, tz=zone,
        ),
        format, "retention",
    )  # fmt: skip


@router.get("/lifecycle", response_model=RowsAnswer, responses=_ALL)
def lifecycle(
    request: Request, table: Table, user: Column = None, time: Column = None, event: Column = None,
    active: Words = [], grain: Period = "day",  # noqa: B006
    by: Annotated[Word | None, Query()] = None, compare: Comparison | None = None, as_of: AsOf = None,
    where: Where = None, tz: Zone = None, format: Form = Form.json,
) -> Response:
    """Active users by where they come from: new, retained, resurrected; and who churned or lies dormant."""
    from prodsense.behavior import lifecycle as ask

    zone = zone_of(request, tz)
    return _told(
        request, table, {"user": user, "time": time, "event": event}, where,
        lambda events: ask(
            events, grain=grain, event=active or (), by=by or "", compare=compare, as_of=as_of, tz=zone,
        ),
        format, "lifecycle",
    )  # fmt: skip


@router.get("/paths", response_model=RowsAnswer, responses=_ALL)
def paths(
    request: Request, table: Table, user: Column = None, time: Column = None, event: Column = None,
    shape: Shape = "links",
    gap: Annotated[str, Query(max_length=20, pattern=_LENGTH)] = "30m",
    steps: Annotated[int | None, Query(ge=1, le=50)] = None, top: Annotated[int | None, Query(ge=1, le=100)] = None,
    start: Annotated[Word | None, Query()] = None, merge: bool = False, since: Since = None, until: Until = None,
    as_of: AsOf = None, where: Where = None, tz: Zone = None, format: Form = Form.json,
) -> Response:
    """What users do next inside sessions."""
    from prodsense.behavior.paths import SHAPES
    from prodsense.errors import UsageError

    options: dict[str, Any] = {
        "gap": gap, "merge": merge, "since": since, "until": until, "as_of": as_of, "tz": zone_of(request, tz)
    }
    limits = {name: value for name, value in (("steps", steps), ("top", top), ("start", start)) if value is not None}
    if limits and shape == "transitions":
        raise UsageError(f"{next(iter(limits))} has no meaning for shape transitions, which tells every transition")
    return _told(
        request, table, {"user": user, "time": time, "event": event}, where,
        lambda events: SHAPES[shape](events, **options, **limits), format, "paths",
    )


@router.get("/sessions", response_model=RowsAnswer, responses=_ALL)
def sessions(
    request: Request, table: Table, user: Column = None, time: Column = None, event: Column = None,
    device: Column = None, grain: Literal["day", "week", "month"] = "day", as_of: AsOf = None, where: Where = None,
    tz: Zone = None, format: Form = Form.json,
) -> Response:
    """Sessions a day, week or month: how many, of how many users, how long. Single sessions are for the shell."""
    from prodsense.behavior import sessions as ask

    zone = zone_of(request, tz)

    def summed(events: EventTable) -> Rows:
        return by_period(events.engine, ask(events, as_of=as_of, tz=zone), grain)

    return _told(
        request, table, {"user": user, "time": time, "event": event, "device": device}, where, summed, format,
        "sessions",
    )


def by_period(engine: Engine, answer: Answer, grain: str) -> Rows:
    """Sessions of each period by their first day: how many, of how many users, mean and median minutes.

    `grain` is one of the route's own words.
    """
    from prodsense.metrics.result import Rows

    with engine.temporary(answer.arrow) as found:
        table = engine.query(
            f"SELECT period_start(session_day, '{grain}') AS period, COUNT(*) AS sessions,"
            " COUNT(DISTINCT user_id) AS users, mean(seconds) / 60 AS mean_minutes,"
            f" quantile(seconds, 0.5) / 60 AS median_minutes FROM {found} GROUP BY 1 ORDER BY 1"
        )
    units = {"mean_minutes": "minutes", "median_minutes": "minutes"}
    return Rows(arrow=table, units=units, notes=answer.notes, title=answer.title)
