"""Charts of answers, and pages of them. Altair and vl-convert load only when something is drawn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    **dict.fromkeys(
        ("area", "bar", "chart_result", "chart_rows", "funnel", "heatmap", "histogram", "line", "number"),
        "prodsense.charts.builders",
    ),
    "save": "prodsense.charts.export",
    **dict.fromkeys(("ChartView", "Page", "PolicyView", "SectionView", "Tile", "render_page"), "prodsense.charts.page"),
    **dict.fromkeys(("answer_page", "dashboard_page"), "prodsense.charts.dashboards"),
    **dict.fromkeys(("bars", "sparkline"), "prodsense.charts.terminal"),
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
