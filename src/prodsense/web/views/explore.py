"""The explorer: any metric over time and by its slices, with files to take along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from prodsense.charts.page import ChartView, Tile
from prodsense.charts.parts import spoken
from prodsense.charts.rows import label_of, plain_rows
from prodsense.charts.units import format_change, format_value
from prodsense.contracts.vocabulary import Metric
from prodsense.errors import ProdsenseError, UsageError
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.asking import COMPARISONS, FILTER, GRAINS, RANGES, Asked, condition
from prodsense.web.pictures import Picture, headline, picture
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.slicing import check_filters
from prodsense.web.views.common import (
    attempt,
    chips,
    export_links,
    file_of,
    keep,
    newest,
    open_metrics,
    packs,
    reading,
    show,
    slices,
    values_of,
    views_here,
    width_of,
    with_events,
)

router = APIRouter(include_in_schema=False, dependencies=[may("read")])

#: So many values stand in a leaderboard, and so many leaderboards on a page.
LEADERS, BOARDS = 8, 12
#: A window longer than so many days is shown by week, one twelve times as long by month.
_DAYS_BY_DAY = 62
FORMS = (("", "as suits"), ("line", "lines"), ("area", "stacked areas"), ("bar", "bars"), ("heatmap", "heatmap"),
         ("table", "table only"))


@router.get("/explore")
def index(request: Request, pack: str = "", q: str = "") -> Response:
    """All metrics, to choose one."""
    with reading(request) as warehouse:
        here = packs(warehouse)
        words = q.lower().split()
        groups = []
        for each in here:
            if pack and each.name != pack:
                continue
            found = [m for m in open_metrics(request, warehouse, each)
                     if all(w in f"{m.name} {m.name.replace('_', ' ')} {m.says}".lower() for w in words)]
            if found:
                groups.append((each, found))
        return show(request, "explore.html", "Explore", groups=groups, pack=pack, q=q,
                    pack_options=[("", "All packs"), *((p.name, p.title) for p in here)])


@router.get("/explore/{name}")
def metric(request: Request, who: CurrentActor, site: CurrentSite, name: str) -> Response:
    """One metric: its frame at once, its chart and leaderboards as they come."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name)
        asked = Asked.read(request.query_params)
        path = f"/explore/{pack.name}.{found.name}"
        reach = slices(request, warehouse, pack.name, found.name)
        shown = [d for d in reach if d not in asked.filters or len(asked.filters[d]) > 1]
        related = [m for m in open_metrics(request, warehouse, pack) if m.source and m.source == found.source
                   and m.name != found.name]
        return show(
            request, "explore_metric.html", spoken(found.name), pack=pack, metric=found, asked=asked, path=path,
            reach=reach, boards=shown[:BOARDS], range_options=RANGES, filter_prefix=FILTER, grains=GRAINS,
            comparisons=COMPARISONS, forms=FORMS, chips=chips(asked, path), views=views_here(site, who, path),
            events=site.store.annotations(pack.name), exports=export_links(f"{path}/export", asked),
            questions=[q for q in pack.questions.values() if found.name in q.answers], related=related[:12],
            may_ask_why=warehouse.allows("explain", pack.name), peers=peered(warehouse, pack),
            show_sql=warehouse.shows_sql(), slice_options=[("", "nothing"), *((d, d.replace("_", " ")) for d in reach)],
        )  # fmt: skip


@router.get("/explore/{name}/chart")
def chart(request: Request, who: CurrentActor, site: CurrentSite, name: str) -> Response:
    """The chart of a metric, with its value over the whole window."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name)
        asked = Asked.read(request.query_params)
        width, sql = width_of(request), warehouse.shows_sql()

        def ask() -> tuple[dict[str, Any] | None, Picture, str]:
            return drawn(request, warehouse, pack, found, asked, width, sql)

        tile, shown, grain = keep(request, ("explore", pack.name, found.name, asked.address(""), width, sql), ask)
        shown = with_events(shown, site, pack.name, timed=grain != "all")
        return show(request, "part_metric.html", spoken(found.name), shown=shown, tile=tile)


@router.get("/explore/{name}/leaders/{dimension}")
def leaders(request: Request, name: str, dimension: str) -> Response:
    """The values of one slice, the largest first; each leads to the page filtered to it."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name)
        asked = Asked.read(request.query_params)
        if dimension not in slices(request, warehouse, pack.name, found.name):
            raise WebError(404, f"{found.name} cannot be sliced by {dimension}")

        def ask() -> dict[str, Any]:
            return board(request, warehouse, pack, found, dimension, asked)

        shown = keep(request, ("leaders", pack.name, found.name, dimension, asked.address("")), ask)
        return show(request, "part_leaders.html", spoken(dimension), board=shown, dimension=dimension)


@router.get("/explore/{name}/export")
def export(request: Request, name: str) -> Response:
    """The numbers behind a chart as a file (``as=csv|parquet|json|png``)."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name)
        asked = Asked.read(request.query_params)
        result, _ = answer(request, warehouse, pack, found, asked)
        return file_of(request, warehouse, result, found.name, form=_form(asked))


def peered(warehouse: Warehouse, pack: Pack) -> bool:
    """Whether the role has peers to stand beside."""
    grants = getattr(warehouse, "grants", None)
    granted = grants.of(pack.name) if grants is not None else None
    return bool(granted is not None and granted.role.peers)


# -- what is shown -----------------------------------------------------------------------------------


def find(request: Request, warehouse: Warehouse, name: str) -> tuple[Pack, Metric]:
    """A metric of a pack with data here that the role may ask for; WebError 404 else."""
    pack_name, _, bare = name.rpartition(".")
    for pack in packs(warehouse):
        if pack.name == pack_name or not pack_name:
            for metric in open_metrics(request, warehouse, pack):
                if metric.name == bare:
                    return pack, metric
    raise WebError(404, f"there is no metric named {name}; see the catalogue")


def settings_of(
    request: Request, warehouse: Warehouse, pack: Pack, found: Metric, asked: Asked
) -> dict[str, Any]:
    """Window, filter and zone of a request, in the words of `Warehouse.metric`."""
    check_filters(asked.filters, [found.name], lambda name: slices(request, warehouse, pack.name, name))
    known = values_of(request, warehouse, pack.name, list(asked.filters), [found.name])
    where = condition(asked.filters, known)
    window = asked.window(newest(request, warehouse, pack.name))
    return {**window, **({"where": where} if where else {}), "tz": request.app.state.site.settings.timezone}


def answer(
    request: Request, warehouse: Warehouse, pack: Pack, found: Metric, asked: Asked
) -> tuple[Any, str]:
    """The result of a page's state and its grain. Without a grain, the finest that suits the window and is allowed."""
    settings = settings_of(request, warehouse, pack, found, asked)
    if asked.compare and not (len(asked.by) > 1):
        settings["compare"] = asked.compare
    name = f"{pack.name}.{found.name}"
    if asked.grain:
        return warehouse.metric(name, by=asked.by, grain=asked.grain, **settings), asked.grain
    refused: UsageError | None = None
    for grain in _grains(settings, newest(request, warehouse, pack.name)):
        try:
            return warehouse.metric(name, by=asked.by, grain=grain, **settings), grain
        except UsageError as error:
            refused = refused or error
    raise refused or UsageError(f"{found.name} cannot be shown over time")


def _grains(settings: Mapping[str, Any], last: date | None) -> tuple[str, ...]:
    """Grains to try, by the length of the window."""
    if "since" in settings:
        end = date.fromisoformat(settings["until"]) if "until" in settings else (last or date.max)
        days = (date(end.year, end.month, end.day) - date.fromisoformat(settings["since"])).days
        if days <= _DAYS_BY_DAY:
            return ("day", "week", "month", "all")
        if days > _DAYS_BY_DAY * 12:
            return ("month", "all")
    return ("week", "month", "all")


def _form(asked: Asked) -> str | None:
    return asked.form if asked.form and asked.form != "table" else None


def drawn(
    request: Request, warehouse: Warehouse, pack: Pack, found: Metric, asked: Asked, width: int, sql: bool
) -> tuple[dict[str, Any] | None, Picture, str]:
    """The headline over the whole window, the chart, and the chart's grain."""
    title = spoken(found.name)
    if asked.by:
        title += " by " + " and ".join(d.replace("_", " ") for d in asked.by)
    path = f"/explore/{pack.name}.{found.name}"
    try:
        result, grain = answer(request, warehouse, pack, found, asked)
        chart = None if asked.form == "table" else result.chart(_form(asked))
    except ProdsenseError as error:
        return None, picture(ChartView(title=title, error=error.message)), "all"
    rows = plain_rows(result)
    view = ChartView(
        title=title, chart=chart, rows=rows, units=result.units, grain=grain, sql=result.sql if sql else (),
        notes=result.notes,
    )  # fmt: skip
    drill: dict[str, str] = {}
    for dimension in asked.by:
        for row in rows:
            by = tuple(d for d in asked.by if d != dimension)
            filters = asked.with_filter(dimension, row.get(dimension))
            drill.setdefault(label_of(row.get(dimension)), asked.address(path, filters=filters, by=by))
    if grain not in ("day", "all") and not asked.by:
        drill |= _closer(rows, grain, asked, path)
    shown = picture(view, width=width, show_sql=sql, drill=drill, exports=export_links(f"{path}/export", asked))
    return _headline(request, warehouse, pack, found, asked), shown, grain


def _closer(rows: list[dict[str, Any]], grain: str, asked: Asked, path: str) -> dict[str, str]:
    """Start of a period → the page of that period by a finer grain."""
    from prodsense.metrics import periods

    finer = {"week": "day", "month": "day", "quarter": "week", "year": "month"}[grain]
    found = {}
    for row in rows:
        start = date.fromisoformat(str(row["period"])[:10])
        end = periods.shift(start, grain, 1) - timedelta(days=1)
        state = replace(asked, range="", since=start.isoformat(), until=end.isoformat(), grain=finer)
        found[start.isoformat()] = state.address(path)
    return found


def _headline(
    request: Request, warehouse: Warehouse, pack: Pack, found: Metric, asked: Asked
) -> dict[str, Any] | None:
    """The value over the whole window, beside the window that it is compared with."""
    settings = settings_of(request, warehouse, pack, found, asked)
    compare = asked.compare or ("previous" if "since" in settings else "")
    for ask in ({"compare": compare} if compare else {}, {}):
        try:
            rows = warehouse.metric(f"{pack.name}.{found.name}", grain="all", **settings, **ask).rows
        except ProdsenseError:
            continue
        row = rows[0] if rows else {}
        versus = COMPARISONS.get(compare, "")
        tile = Tile(
            label="Over the window" if "since" in settings or "until" in settings else "Over the whole time",
            value=row.get(found.name), unit=found.unit, previous=row.get(f"{found.name}_previous"),
            better=found.better, versus=versus,
        )  # fmt: skip
        return headline(tile)
    return None


def board(
    request: Request, warehouse: Warehouse, pack: Pack, found: Metric, dimension: str, asked: Asked
) -> dict[str, Any]:
    """The lines of a leaderboard: label, value, bar (share of the largest), whether few rows stand behind it (then it
    comes after the others), change, address."""
    path = f"/explore/{pack.name}.{found.name}"
    name = f"{pack.name}.{found.name}"
    try:
        settings = settings_of(request, warehouse, pack, found, asked)
        compare = asked.compare or ("previous" if "since" in settings else "")
        try:
            result = warehouse.metric(name, by=dimension, grain="all", compare=compare or None, **settings)
        except UsageError:
            result = warehouse.metric(name, by=dimension, grain="all", **settings)
        few: frozenset[Any] = attempt(lambda: warehouse.few_behind(name, dimension, **settings), frozenset())
    except ProdsenseError as error:
        return {"error": error.message, "lines": [], "more": 0, "address": "", "compared": ""}
    known = [row for row in result.rows if row.get(found.name) is not None]
    known.sort(key=lambda row: (row[dimension] in few, -float(row[found.name]), label_of(row[dimension])))
    ranked = [row for row in known if row[dimension] not in few] or known
    top = max((abs(float(row[found.name])) for row in ranked), default=0) or 1.0
    lines = []
    for row in known[:LEADERS]:
        value, then = row[found.name], row.get(f"{found.name}_previous")
        mood = "flat"
        if then is not None and value != then and found.better != "none":
            mood = "good" if (value > then) == (found.better == "up") else "bad"
        lines.append({
            "label": label_of(row[dimension]), "value": format_value(value, found.unit),
            "bar": min(round(abs(float(value)) / top * 100, 2), 100.0), "few": row[dimension] in few,
            "change": format_change(value, then, found.unit),
            "mood": mood, "address": asked.address(path, filters=asked.with_filter(dimension, row[dimension])),
        })
    return {
        "lines": lines, "more": max(0, len(known) - LEADERS), "error": "", "compared": COMPARISONS.get(compare, ""),
        "address": asked.address(path, by=(dimension,), grain="all"),
    }  # fmt: skip
