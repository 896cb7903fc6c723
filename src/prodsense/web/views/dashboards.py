"""Dashboards: the list, and each as a page that fills in part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from prodsense.charts.dashboards import policy_view
from prodsense.charts.parts import spoken
from prodsense.contracts.vocabulary import Chart, Dashboard, Section
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web import boards
from prodsense.web.asking import FILTER, RANGES, Asked, condition, text_of
from prodsense.web.boards import Narrowed, chart_of, metrics_of, section_of, view_of
from prodsense.web.pictures import Picture, headline, picture
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.site import Site
from prodsense.web.views.common import (
    chips,
    export_links,
    keep,
    newest,
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

#: The most values of a dimension that a filter offers.
MOST_VALUES = 100


@router.get("/dashboards")
def index(request: Request, who: CurrentActor, site: CurrentSite) -> Response:
    """All dashboards, by pack."""
    with reading(request) as warehouse:
        groups = [(pack, allowed(warehouse, pack)) for pack in packs(warehouse)]
        saved = [view for view in site.store.views(who) if view["path"].startswith("/dashboards/")]
        return show(request, "dashboards.html", "Dashboards", groups=[g for g in groups if g[1]], views=saved)


@router.get("/dashboards/{name}")
def dashboard(request: Request, who: CurrentActor, site: CurrentSite, name: str) -> Response:
    """A dashboard: filters and frame at once, numbers and charts as they come (all at once with ``full=1``)."""
    with reading(request) as warehouse:
        pack, board = find(warehouse, name)
        asked = Asked.read(request.query_params)
        path = f"/dashboards/{pack.name}.{board.name}"
        whole = request.query_params.get("full") == "1"
        # To know the values of a slice is a question to the data: the page does not wait for it.
        choices = choices_of(request, warehouse, pack, board) if whole else []
        sections = []
        for place, section in enumerate(board.sections):
            part = {"section": section, "place": place, "tiles": None, "charts": [], "policies": None}
            if whole:
                part |= {
                    "tiles": tiles_of(request, warehouse, pack, board, place, asked),
                    "charts": [
                        drawn(request, warehouse, site, pack, board, place, i, asked)
                        for i in range(len(section.charts))
                    ],
                    "policies": policies_of(request, warehouse, pack, section),
                }
            sections.append(part)
        return show(
            request, "dashboard.html", spoken(board.name), pack=pack, board=board, asked=asked, path=path,
            sections=sections,
            choices=choices, range_options=RANGES, filter_prefix=FILTER,
            whole=whole, query=request.url.query, views=views_here(site, who, path),
            events=site.store.annotations(pack.name), chips=chips(asked, path),
        )  # fmt: skip


@router.get("/dashboards/{name}/filters")
def filters(request: Request, name: str) -> Response:
    """The filters of a dashboard with the values to choose from, as a part of it."""
    with reading(request) as warehouse:
        pack, board = find(warehouse, name)
        return show(
            request, "part_filters.html", spoken(board.name), choices=choices_of(request, warehouse, pack, board),
            asked=Asked.read(request.query_params), filter_prefix=FILTER,
        )  # fmt: skip


@router.get("/dashboards/{name}/tiles/{place}")
def tiles(request: Request, name: str, place: int) -> Response:
    """The numbers of a section, as a part of its dashboard."""
    with reading(request) as warehouse:
        pack, board = find(warehouse, name)
        section_of(board, place)
        found = tiles_of(request, warehouse, pack, board, place, Asked.read(request.query_params))
        return show(request, "part_tiles.html", spoken(board.name), tiles=found)


@router.get("/dashboards/{name}/charts/{place}/{number}")
def chart(
    request: Request, who: CurrentActor, site: CurrentSite, name: str, place: int, number: int
) -> Response:
    """One chart of a section, as a part of its dashboard."""
    with reading(request) as warehouse:
        pack, board = find(warehouse, name)
        asked = Asked.read(request.query_params)
        shown = drawn(request, warehouse, site, pack, board, place, number, asked)
        return show(request, "part_chart.html", spoken(board.name), shown=shown)


@router.get("/dashboards/{name}/policies/{place}")
def policies(request: Request, name: str, place: int) -> Response:
    """The state of a section's policies, as a part of its dashboard."""
    with reading(request) as warehouse:
        pack, board = find(warehouse, name)
        found = policies_of(request, warehouse, pack, section_of(board, place))
        return show(request, "part_policies.html", spoken(board.name), views=found)


# -- what a dashboard is made of ---------------------------------------------------------------------


def find(warehouse: Warehouse, name: str) -> tuple[Pack, Dashboard]:
    """A dashboard of a pack with data here that the role may open; WebError 404 else."""
    pack_name, _, bare = name.rpartition(".")
    for pack in packs(warehouse):
        if pack.name == pack_name or not pack_name:
            for board in allowed(warehouse, pack):
                if board.name == bare:
                    return pack, board
    raise WebError(404, f"there is no dashboard named {name}")


def allowed(warehouse: Warehouse, pack: Pack) -> list[Dashboard]:
    """The dashboards of a pack that the role may open."""
    return [board for board in pack.dashboards.values() if warehouse.allows("dashboards", pack.name, board.name)]


def choices_of(
    request: Request, warehouse: Warehouse, pack: Pack, board: Dashboard
) -> list[tuple[str, list[tuple[str, str]]]]:
    """The dimensions that filter a dashboard, each with its values as the choices of a form."""
    found = values_of(request, warehouse, pack.name, board.by, metrics_of(board, pack))
    return [
        (name, [(text_of(v), text_of(v)) for v in listed[:MOST_VALUES]]) for name, listed in found.items() if listed
    ]


def tiles_of(
    request: Request, warehouse: Warehouse, pack: Pack, board: Dashboard, place: int, asked: Asked
) -> list[dict[str, Any]]:
    """The headline numbers of a section, each leading to its page in the explorer."""

    def ask() -> list[dict[str, Any]]:
        fetch = fetch_for(request, warehouse, pack, asked, metrics_of(board, pack))
        state = replace(asked, compare="", by=())
        return [
            {**headline(tile), "address": state.address(f"/explore/{pack.name}.{name}")}
            for name, tile in boards.tiles_of(section_of(board, place), fetch)
        ]

    return keep(request, ("tiles", pack.name, board.name, place, asked.address("")), ask)


def drawn(
    request: Request, warehouse: Warehouse, site: Site, pack: Pack, board: Dashboard, place: int, number: int,
    asked: Asked,
) -> Picture:
    """One chart of a section, with where its marks, its title and its exports lead."""
    declared = chart_of(pack, board, place, number)
    found = None if isinstance(declared, str) else declared
    width = width_of(request)

    def ask() -> Picture:
        fetch = fetch_for(request, warehouse, pack, asked, metrics_of(board, pack))
        view = view_of(declared if found is None else adapted(found, asked), fetch)
        address, drill, exports = "", {}, []
        if found is not None and found.metrics:
            state = replace(asked, by=found.by, grain="" if found.grain == "all" else (asked.grain or found.grain))
            address = state.address(f"/explore/{pack.name}.{found.metrics[0]}")
            drill = drill_of(view.rows, found.by, asked, f"/dashboards/{pack.name}.{board.name}", board.by)
            exports = export_links(f"/explore/{pack.name}.{found.metrics[0]}/export", state)
        return picture(view, width=width, show_sql=warehouse.shows_sql(), address=address, drill=drill, exports=exports)

    key = ("chart", pack.name, board.name, place, number, asked.address(""), width, warehouse.shows_sql())
    shown = keep(request, key, ask)
    timed = found is not None and bool(found.metrics) and found.grain != "all"
    return with_events(shown, site, pack.name, timed=timed)


def adapted(chart: Chart, asked: Asked) -> Chart:
    """A declared chart with the page's grain and comparison, where it takes them."""
    changes: dict[str, Any] = {}
    if not chart.metrics:
        return chart
    if chart.grain != "all" and asked.grain and chart.form in ("line", "area", "bar"):
        changes["grain"] = asked.grain
    if asked.compare and chart.form in ("line", "bar", "number") and len(chart.by) <= (chart.form == "bar"):
        changes["compare"] = asked.compare
    return replace(chart, **changes) if changes else chart


def policies_of(request: Request, warehouse: Warehouse, pack: Pack, section: Section) -> list[Any]:
    """The state of a section's policies."""
    fetch = fetch_for(request, warehouse, pack)
    key = ("policies", pack.name, section.policies)
    return keep(request, key, lambda: [policy_view(name, fetch) for name in section.policies])


def drill_of(
    rows: Sequence[Mapping[str, Any]], by: Sequence[str], asked: Asked, path: str, dimensions: Sequence[str]
) -> dict[str, str]:
    """Text of a mark's value → the page filtered to it, for the slices that the page can filter by."""
    from prodsense.charts.rows import label_of

    found: dict[str, str] = {}
    for dimension in by:
        if dimension not in dimensions:
            continue
        for row in rows:
            value = row.get(dimension)
            found.setdefault(label_of(value), asked.address(path, filters=asked.with_filter(dimension, value)))
    return found


def fetch_for(
    request: Request, warehouse: Warehouse, pack: Pack, asked: Asked | None = None, metrics: Sequence[str] = ()
) -> Narrowed:
    """What a page asks of the warehouse, in the state of its address."""
    asked = asked or Asked()
    known = values_of(request, warehouse, pack.name, list(asked.filters), metrics)
    return Narrowed(
        warehouse, pack, request.app.state.site.settings.timezone, asked.window(newest(request, warehouse, pack.name)),
        condition(asked.filters, known), tuple(asked.filters),
        lambda name: slices(request, warehouse, pack.name, name),
    )
