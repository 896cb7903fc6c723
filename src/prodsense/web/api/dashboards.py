"""Declared dashboards: what is on them, and the data of each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from prodsense.charts.fetching import PackFetch
from prodsense.charts.parts import spoken
from prodsense.contracts.vocabulary import Comparison
from prodsense.web.api.common import RowsAnswer, Since, Until, Where, Word, documented, give
from prodsense.web.security import WebError, may

if TYPE_CHECKING:
    from prodsense.charts.page import ChartView
    from prodsense.contracts.vocabulary import Chart, Dashboard, Section
    from prodsense.warehouse import Warehouse

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
    from prodsense.charts.dashboards import headline_tiles

    def tiles(warehouse: Warehouse) -> dict[str, Any]:
        pack, found = warehouse.find("dashboards", name)
        part = section_of(found, section)
        shown = headline_tiles(part.metrics, PackFetch(warehouse, pack, filters(since, until, where)))
        return {"rows": [{"metric": m, **asdict(t)} for m, t in zip(part.metrics, shown, strict=True)]}

    return give(request, tiles)


@router.get("/dashboards/{name}/sections/{section}/charts/{chart}", response_model=RowsAnswer, responses=documented())
def chart(
    request: Request, name: Word, section: Number, chart: Number, since: Since = None, until: Until = None,
    where: Where = None, compare: Comparison | None = None,
) -> Response:
    """The rows behind a chart, with its Vega-Lite specification."""
    from dataclasses import replace

    from prodsense.charts.dashboards import chart_view

    def data(warehouse: Warehouse) -> dict[str, Any]:
        pack, found = warehouse.find("dashboards", name)
        part = section_of(found, section)
        if chart >= len(part.charts):
            raise WebError(404, f"section {section} of {found.name} has {len(part.charts)} charts, from 0")
        one = part.charts[chart]
        declared: Chart = pack.charts[one] if isinstance(one, str) else one
        if compare is not None and declared.metrics:
            declared = replace(declared, compare=compare)
        fetch = PackFetch(warehouse, pack, filters(since, until, where))
        return view_of(chart_view(declared, fetch, pack.charts))

    return give(request, data)


def view_of(view: ChartView) -> dict[str, Any]:
    """A chart's rows and specification; `error` where it could not be drawn."""
    from prodsense.charts.export import to_spec

    return {
        "title": view.title, "says": view.says, "rows": [dict(row) for row in view.rows], "units": dict(view.units),
        "grain": view.grain, "notes": list(view.notes), "sql": list(view.sql), "error": view.error,
        "spec": to_spec(view.chart) if view.chart is not None else None,
    }  # fmt: skip


def filters(since: Any, until: Any, where: str | None) -> Mapping[str, Any]:
    """What narrows a dashboard, as a request's options."""
    return {name: value for name, value in (("since", since), ("until", until), ("where", where)) if value is not None}


def section_of(dashboard: Dashboard, number: int) -> Section:
    """A section by its place; WebError 404 where there is none."""
    if number >= len(dashboard.sections):
        raise WebError(404, f"{dashboard.name} has {len(dashboard.sections)} sections, from 0")
    return dashboard.sections[number]


def chart_name(chart: str | Chart) -> str:
    """The name of a chart that is declared apart or in place."""
    return chart if isinstance(chart, str) else chart.name
