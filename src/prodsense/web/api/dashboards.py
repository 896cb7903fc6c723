"""Declared dashboards: what is on them, and the data of each part."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from prodsense.charts.parts import spoken
from prodsense.contracts.vocabulary import Comparison
from prodsense.web.api.common import RowsAnswer, Since, Until, Where, Word, documented, give, zone_of
from prodsense.web.asking import both, condition, read_filters
from prodsense.web.security import may

if TYPE_CHECKING:
    from prodsense.charts.page import ChartView
    from prodsense.contracts.vocabulary import Chart, Dashboard
    from prodsense.packs.pack import Pack
    from prodsense.warehouse import Warehouse
    from prodsense.web.boards import Narrowed

router = APIRouter(prefix="/api/v1", tags=["dashboards"], dependencies=[may("read")])

_AT = "/api/v1/dashboards"
Number = Annotated[int, Path(ge=0, le=1000)]


@router.get("/dashboards", response_model=RowsAnswer, responses=documented())
def dashboards(request: Request) -> Response:
    """All dashboards that the role may see."""

    def listed(warehouse: Warehouse) -> dict[str, Any]:
        entries = [e for pack in warehouse.packs for e in warehouse.catalog(pack, None) if e["kind"] == "dashboard"]
        return {"rows": [
            {"pack": e["pack"], "name": e["name"], "title": spoken(e["name"]), "says": e["says"],
             "role": warehouse.pack(e["pack"]).dashboards[e["name"]].role, "href": f"{_AT}/{e['pack']}.{e['name']}"}
            for e in entries
        ]}  # fmt: skip

    return give(request, listed)


@router.get("/dashboards/{name}", response_model=RowsAnswer, responses=documented())
def dashboard(request: Request, name: Word) -> Response:
    """A dashboard's sections (`rows`), each with the addresses of its numbers and charts, and what filters it."""

    def parts(warehouse: Warehouse) -> dict[str, Any]:
        pack, found = warehouse.find("dashboards", name)
        at = f"{_AT}/{pack.name}.{found.name}/sections"
        rows = [
            {
                "title": section.title, "says": section.says, "metrics": list(section.metrics),
                "policies": list(section.policies), "numbers": f"{at}/{i}",
                "charts": [
                    {"name": chart_name(chart), "title": spoken(chart_name(chart)), "href": f"{at}/{i}/charts/{j}"}
                    for j, chart in enumerate(section.charts)
                ],
            }
            for i, section in enumerate(found.sections)
        ]
        return {"rows": rows, "pack": pack.name, "name": found.name, "title": spoken(found.name), "says": found.says,
                "role": found.role, "by": list(found.by)}  # fmt: skip

    return give(request, parts)


@router.get("/dashboards/{name}/sections/{section}", response_model=RowsAnswer, responses=documented())
def numbers(
    request: Request, name: Word, section: Number, since: Since = None, until: Until = None, where: Where = None,
) -> Response:
    """The headline numbers of a section: the newest complete week beside the week before, and the last 13 weeks."""
    from prodsense.web.boards import section_of, tiles_of

    def tiles(warehouse: Warehouse) -> dict[str, Any]:
        pack, found = warehouse.find("dashboards", name)
        fetch = narrowed(request, warehouse, pack, found, since, until, where)
        return {"rows": [{"metric": m, **asdict(tile)} for m, tile in tiles_of(section_of(found, section), fetch)]}

    return give(request, tiles, sliced=True)


@router.get("/dashboards/{name}/sections/{section}/charts/{chart}", response_model=RowsAnswer, responses=documented())
def chart(
    request: Request, name: Word, section: Number, chart: Number, since: Since = None, until: Until = None,
    where: Where = None, compare: Comparison | None = None,
) -> Response:
    """The rows behind a chart, with its Vega-Lite specification."""
    from prodsense.web.boards import chart_of, view_of

    def data(warehouse: Warehouse) -> dict[str, Any]:
        pack, found = warehouse.find("dashboards", name)
        one = chart_of(pack, found, section, chart)
        if compare is not None and not isinstance(one, str) and one.metrics:
            one = replace(one, compare=compare)
        return told(view_of(one, narrowed(request, warehouse, pack, found, since, until, where)))

    return give(request, data, sliced=True)


def told(view: ChartView) -> dict[str, Any]:
    """A chart's rows and specification; `error` where it could not be drawn."""
    from prodsense.charts.export import to_spec

    return {
        "title": view.title, "says": view.says, "rows": [dict(row) for row in view.rows], "units": dict(view.units),
        "grain": view.grain, "notes": list(view.notes), "sql": list(view.sql), "error": view.error,
        "spec": to_spec(view.chart) if view.chart is not None else None,
    }  # fmt: skip


def narrowed(
    request: Request, warehouse: Warehouse, pack: Pack, board: Dashboard, since: Any, until: Any, where: str | None
) -> Narrowed:
    """What a dashboard asks of the warehouse, narrowed as the request says; UsageError for a slice that none of its
    metrics knows."""
    from prodsense.web.boards import Narrowed, metrics_of
    from prodsense.web.slicing import check_filters, slices_of, values_of

    window = {name: day for name, day in (("since", since), ("until", until)) if day is not None}
    slices, metrics = read_filters(request.query_params), metrics_of(board, pack)

    def reach(metric: str) -> list[str]:
        return slices_of(warehouse, pack.name, metric)

    for one in slices:
        if not any(one in reach(metric) for metric in metrics):
            check_filters([one], metrics[:1], reach)
    known = {one: values_of(warehouse, pack.name, one, metrics, reach) for one in slices}
    where = both(where, condition(slices, known))
    return Narrowed(warehouse, pack, zone_of(request, None), window, where, slices, reach)


def chart_name(chart: str | Chart) -> str:
    """The name of a chart that is declared apart or in place."""
    return chart if isinstance(chart, str) else chart.name
