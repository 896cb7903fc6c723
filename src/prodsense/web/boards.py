"""Declared dashboards for who asks: what a section's numbers and charts are, for the API and the pages alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prodsense.charts.dashboards import chart_view, headline_tiles
from prodsense.charts.fetching import PackFetch
from prodsense.charts.page import ChartView, Tile
from prodsense.contracts.vocabulary import Chart, Dashboard, Section
from prodsense.metrics.filters import read_filter
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.security import WebError
from prodsense.web.slicing import Reach, check_filters


class Narrowed(PackFetch):
    """What a dashboard asks of the warehouse: `window` and `where` narrow every metric, days are those of `tz`.

    `slices` are those that `where` filters by; a metric that `reach` says not to know one of them is refused.
    """

    def __init__(
        self, warehouse: Warehouse, pack: Pack, tz: str, window: Mapping[str, Any] | None = None,
        where: str | None = None, slices: Collection[str] = (), reach: Reach | None = None,
    ):
        super().__init__(warehouse, pack, {"tz": tz, **({"where": where} if where else {})})
        self.window, self.where, self.slices = dict(window or {}), where, slices
        self.reach = reach or (lambda name: slices)

    def metric(self, names: Sequence[str], **request: Any) -> Any:
        check_filters(self.slices, names, self.reach)
        if self.where and request.get("where"):
            # Beside a chart's own it stands in brackets, and must be a condition by itself, or it might close them.
            read_filter(self.where)
        window = {} if "since" in request or "until" in request else self.window
        return super().metric(names, **{**window, **request})


def section_of(board: Dashboard, place: int) -> Section:
    """A section by its place; WebError 404 where there is none."""
    if not 0 <= place < len(board.sections):
        raise WebError(404, f"{board.name} has {len(board.sections)} sections, from 0")
    return board.sections[place]


def chart_of(pack: Pack, board: Dashboard, place: int, number: int) -> Chart | str:
    """A chart of a section, or its name where the pack declares none of that name; WebError 404 for no such place."""
    charts = section_of(board, place).charts
    if not 0 <= number < len(charts):
        raise WebError(404, f"section {place} of {board.name} has {len(charts)} charts, from 0")
    declared = charts[number]
    return pack.charts.get(declared, declared) if isinstance(declared, str) else declared


def metrics_of(board: Dashboard, pack: Pack) -> list[str]:
    """All metrics of a dashboard, in order."""
    found: dict[str, None] = {}
    for place, section in enumerate(board.sections):
        found.update(dict.fromkeys(section.metrics))
        for number in range(len(section.charts)):
            chart = chart_of(pack, board, place, number)
            found.update(dict.fromkeys(() if isinstance(chart, str) else chart.metrics))
    return list(found)


def tiles_of(section: Section, fetch: Narrowed) -> list[tuple[str, Tile]]:
    """The headline numbers of a section, each with its metric."""
    return list(zip(section.metrics, headline_tiles(section.metrics, fetch), strict=True))


def view_of(chart: Chart | str, fetch: Narrowed) -> ChartView:
    """A chart as who asks may see it."""
    view = chart_view(chart, fetch, fetch.pack.charts)
    if not isinstance(chart, str) and chart.query and (fetch.where or fetch.window):
        return replace(view, notes=[*view.notes, "A named query: filters and dates do not change it."])
    return view
