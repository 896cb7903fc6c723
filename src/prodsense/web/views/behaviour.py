"""Behaviour: who comes back, how far they get, what they do next, on any event table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from prodsense.charts.page import ChartView
from prodsense.charts.rows import plain_rows
from prodsense.engines.base import comma, quoted
from prodsense.errors import ProdsenseError, UsageError
from prodsense.warehouse import Warehouse
from prodsense.web.pictures import Picture, picture
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.views.common import attempt, file_of, keep, packs, reading, show, views_here, width_of

router = APIRouter(include_in_schema=False, dependencies=[may("read")])

METHODS: Mapping[str, tuple[str, str]] = {
    "retention": ("Retention", "Of those who came, how many come back."),
    "funnel": ("Funnel", "How many who begin get how far, and how long it takes."),
    "paths": ("Paths", "What people do next inside a session."),
    "lifecycle": ("Lifecycle", "New, retained, resurrected and lost, period by period."),
    "active": ("Active users", "Distinct users in the trailing 1, 7 and 28 days."),
}
#: So many steps a funnel's form takes, and so many event names it offers.
STEPS, NAMES = 8, 80
_WITHIN = (("1h", "an hour"), ("1d", "a day"), ("7d", "7 days"), ("14d", "14 days"), ("28d", "28 days"))


@dataclass(frozen=True)
class Log:
    """An event table as the form of a page describes it; `event` empty means that rows have no name."""

    table: str
    user: str = ""
    time: str = ""
    event: str = ""
    declared: bool = True

    def pairs(self) -> list[tuple[str, str]]:
        found = [("table", self.table)]
        if not self.declared:
            found += [("user", self.user), ("time", self.time), ("event", self.event)]
        return [pair for pair in found if pair[1]]


@router.get("/behaviour")
def index(request: Request) -> Response:
    """The methods, and the analyses that packs declare."""
    with reading(request) as warehouse:
        groups = []
        for pack in packs(warehouse):
            found = [a for a in pack.analyses.values() if warehouse.allows("analyses", pack.name, a.name)]
            groups += [(pack, found)] if found else []
        return show(request, "behaviour.html", "Behaviour", methods=METHODS, groups=groups)


@router.get("/behaviour/{method}")
def method(request: Request, who: CurrentActor, site: CurrentSite, method: str) -> Response:
    """The form of a method; its answer comes as a part."""
    _known(method)
    with reading(request) as warehouse:
        logs, others = tables(request, warehouse)
        query = request.query_params
        log = log_of(request, warehouse, logs, method)
        path = f"/behaviour/{method}"
        columns = list(columns_of(warehouse, log.table)) if log else []
        names = names_of(request, warehouse, log) if log and log.event else []
        query_text = urlencode([(k, v) for k, v in query.multi_items() if v])
        return show(
            request, "behaviour_method.html", METHODS[method][0], method=method, methods=METHODS, logs=logs,
            others=others, log=log, columns=columns, names=names, path=path, steps=steps_of(query),
            whole=path + (f"?{query_text}" if query_text else ""),
            ready=log is not None and bool(log.user and log.time),
            within=_WITHIN, step_count=STEPS, part=_part(path, query_text), views=views_here(site, who, path),
            query=query, column_pairs=[(c, c.replace("_", " ")) for c in columns], name_pairs=[(n, n) for n in names],
        )  # fmt: skip


@router.get("/behaviour/{method}/answer")
def part(request: Request, who: CurrentActor, method: str) -> Response:
    """The answer of a method, as a part of its page."""
    _known(method)
    with reading(request) as warehouse:
        log = log_of(request, warehouse, tables(request, warehouse)[0], method)
        if log is None:
            raise UsageError("choose an event table first")
        width, sql, address = width_of(request), warehouse.shows_sql(), str(request.url.query)

        def ask() -> Picture:
            return drawn(request, warehouse, log, method, width, sql)

        shown = keep(request, ("behaviour", method, address, width, sql), ask)
        return show(request, "part_chart.html", METHODS[method][0], shown=shown, level=2)


@router.get("/behaviour/{method}/export")
def export(request: Request, method: str) -> Response:
    """The answer of a method as a file (``as=csv|parquet|json|png``)."""
    _known(method)
    with reading(request) as warehouse:
        log = log_of(request, warehouse, tables(request, warehouse)[0], method)
        if log is None:
            raise UsageError("choose an event table first")
        answer = ANSWERS[method](events_of(warehouse, log), request.query_params, _zone(request))
        return file_of(request, warehouse, answer, method)


# -- event tables ------------------------------------------------------------------------------------


def tables(request: Request, warehouse: Warehouse) -> tuple[list[tuple[str, str]], list[str]]:
    """Event tables that packs declare (relation, text), and all other tables and models."""
    declared = [
        (f"{pack.name}.{pack.event_source.table}", f"{pack.title}: {pack.event_source.table}")
        for pack in packs(warehouse) if pack.event_source is not None and warehouse.allows("methods", pack.name)
    ]
    known = {name for name, _ in declared}
    existing = keep(request, ("relations",), lambda: sorted(warehouse.engine.relations()))
    schemas = {name for name in warehouse.packs if warehouse.allows("methods", name)}
    return declared, [name for name in existing if name.split(".")[0] in schemas and name not in known]


def log_of(request: Request, warehouse: Warehouse, declared: list[tuple[str, str]], method: str) -> Log | None:
    """The event table that the address names, else the first declared one that suits the method."""
    query = request.query_params
    known = {
        f"{pack.name}.{source.table}": Log(f"{pack.name}.{source.table}", source.user, source.time, source.event or "")
        for pack in packs(warehouse) if (source := pack.event_source) is not None
    }
    known = {name: known[name] for name, _ in declared}
    if not query.get("table"):
        # Those that tell events apart need rows with a name.
        named = [log for log in known.values() if log.event or method not in ("funnel", "paths")]
        return next(iter(named or known.values()), None)
    table = query["table"]
    if table in known:
        return known[table]
    columns = columns_of(warehouse, table)
    if not columns:
        raise WebError(404, f"there is no table named {table}")
    chosen = {name: query.get(name, "") for name in ("user", "time", "event")}
    for name, column in chosen.items():
        if column and column not in columns:
            raise UsageError(f"{name}: {table} has no column {column}")
    return Log(table, **chosen, declared=False)


def columns_of(warehouse: Warehouse, relation: str) -> Mapping[str, str]:
    """The columns of a relation; none where it is not there."""
    return attempt(lambda: warehouse.engine.columns(relation), None) or {}


def names_of(request: Request, warehouse: Warehouse, log: Log) -> list[str]:
    """The names of events, the commonest first."""

    def ask() -> list[str]:
        column = comma([log.event])
        rows = warehouse.engine.query(
            f"SELECT {column} AS name, COUNT(*) AS many FROM {quoted(log.table)} WHERE {column} IS NOT NULL"
            f" GROUP BY {column} ORDER BY many DESC, name LIMIT {NAMES}"
        )
        return [str(name) for name in rows["name"].to_pylist()]

    return keep(request, ("names", log), lambda: attempt(ask, []))


def events_of(warehouse: Warehouse, log: Log) -> Any:
    """The events of a log, for the methods."""
    if log.declared:
        return warehouse.events(log.table)
    if not (log.user and log.time):
        raise UsageError("say which columns hold the user and the time")
    return warehouse.events(log.table, log.user, log.time, log.event or None)


# -- answers -----------------------------------------------------------------------------------------


def drawn(request: Request, warehouse: Warehouse, log: Log, method: str, width: int, sql: bool) -> Picture:
    """A method's answer as a picture with its table."""
    title = METHODS[method][0]
    try:
        answer = ANSWERS[method](events_of(warehouse, log), request.query_params, _zone(request))
        rows = answer.wide(answer).rows if answer.wide is not None else answer.rows
        units = (answer.wide(answer) if answer.wide is not None else answer).units
        view = ChartView(
            title=title, chart=answer.chart(), rows=plain_rows(rows), units=dict(units),
            notes=list(answer.notes), sql=answer.sql if sql else (),
        )  # fmt: skip
    except ProdsenseError as error:
        return picture(ChartView(title=title, error=error.message))
    query = urlencode([(k, v) for k, v in request.query_params.multi_items() if v and k != "w"])
    links = [(text, f"/behaviour/{method}/export?{query}{'&' if query else ''}as={kind}")
             for text, kind in (("CSV", "csv"), ("Parquet", "parquet"), ("PNG picture", "png"), ("JSON", "json"))]
    return picture(view, width=width, show_sql=sql, exports=links)


def _window(query: Any) -> dict[str, Any]:
    from datetime import timedelta

    from prodsense.metrics import periods

    found: dict[str, Any] = {}
    if query.get("since"):
        found["since"] = periods.read_day(query["since"], "from")
    if query.get("until"):
        found["until"] = periods.read_day(query["until"], "to") + timedelta(days=1)
    return found


def _retention(events: Any, query: Any, tz: str) -> Any:
    from prodsense.behavior import retention

    unit = query.get("unit", "week")
    many = _number(query.get("many", ""), {"day": 14, "week": 8, "month": 6}.get(unit, 8), 1, 120)
    length = {"day": "days", "week": "weeks", "month": "months"}.get(unit)
    if length is None:
        raise UsageError("count in days, weeks or months")
    options: dict[str, Any] = {length: many, "kind": query.get("kind") or "exact"}
    for name in ("start_event", "return_event"):
        if query.get(name):
            options[name] = query[name]
    if query.get("cohort"):
        options["cohort"] = query["cohort"]
    if query.get("by"):
        options |= {"by": query["by"], "grain": "all"}
    return retention(events, **options, **_window(query), tz=tz)


def steps_of(query: Any) -> list[tuple[str, bool]]:
    """The steps of a funnel's form: event and whether it may be left out."""
    free = set(query.getlist("optional"))
    return [(name, str(i) in free) for i, name in enumerate(query.getlist("step"), start=1) if name]


def _funnel(events: Any, query: Any, tz: str) -> Any:
    from prodsense.behavior import funnel
    from prodsense.behavior.funnel_steps import read_steps

    steps = steps_of(query)
    if len(steps) < 2:
        raise UsageError("choose at least two steps")
    order = query.get("order") or "ordered"
    read = read_steps([f"?{name}" if free else name for name, free in steps], order=order)
    options: dict[str, Any] = {"within": query.get("within") or "7d", "order": order}
    if query.get("by"):
        options["by"] = [query["by"]]
    return funnel(events, read, **options, **_window(query), tz=tz)


def _paths(events: Any, query: Any, tz: str) -> Any:
    from prodsense.behavior import paths

    options: dict[str, Any] = {"steps": _number(query.get("steps", ""), 4, 2, 10), "merge": query.get("merge") == "1"}
    if query.get("start"):
        options["start"] = query["start"]
    return paths(events, **options, **_window(query), tz=tz)


def _lifecycle(events: Any, query: Any, tz: str) -> Any:
    from prodsense.behavior import lifecycle

    return lifecycle(events, grain=query.get("grain") or "week", by=query.get("by", ""), tz=tz)


def _active(events: Any, query: Any, tz: str) -> Any:
    from prodsense.behavior import active_users

    return active_users(events, by=query.get("by", ""), tz=tz)


ANSWERS: Mapping[str, Callable[[Any, Any, str], Any]] = {
    "retention": _retention, "funnel": _funnel, "paths": _paths, "lifecycle": _lifecycle, "active": _active,
}  # fmt: skip


def _number(text: str, otherwise: int, low: int, high: int) -> int:
    if not text:
        return otherwise
    if not text.isdigit() or not low <= int(text) <= high:
        raise UsageError(f"{text!r} is no number from {low} to {high}")
    return int(text)


def _known(method: str) -> None:
    if method not in METHODS:
        raise WebError(404, f"there is no method named {method}: {', '.join(METHODS)}")


def _zone(request: Request) -> str:
    zone: str = request.app.state.site.settings.timezone
    return zone


def _part(path: str, query: str) -> str:
    return f"{path}/answer" + (f"?{query}" if query else "")
