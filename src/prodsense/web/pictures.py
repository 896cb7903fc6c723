"""Answers as the parts of a page: charts with their table, headline numbers, plain tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prodsense.charts.page import ChartView, Tile, spec_and_notes, table_of, tile_parts
from prodsense.charts.rows import plain_rows

#: A chart is laid out for this width in pixels, and for a phone's; the script fits it to its place.
WIDE, NARROW = 640, 340


@dataclass(frozen=True)
class Picture:
    """What `ui.picture` shows. `drill` maps the text of a mark's value to the address that a click on it leads to,
    `exports` are pairs of text and address. `spec` None shows the table openly."""

    title: str = ""
    says: str = ""
    spec: Mapping[str, Any] | None = None
    alt: str = ""
    table: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()
    sql: Sequence[str] = ()
    error: str = ""
    address: str = ""
    drill: Mapping[str, str] = field(default_factory=dict)
    exports: Sequence[tuple[str, str]] = ()

    @property
    def weight(self) -> int:
        """About how many bytes it takes: its data stand in it twice, as a spec and as a table."""
        return len(repr(self.spec)) + len(repr(self.table))


def picture(
    view: ChartView, *, width: int = WIDE, show_sql: bool = True, address: str = "",
    drill: Mapping[str, str] | None = None, exports: Sequence[tuple[str, str]] = (),
    marks: Sequence[Mapping[str, Any]] = (),
) -> Picture:
    """A chart's view as a part of a page. `marks` are known events to draw as rules: ``at`` (a day) and ``text``."""
    spec = None
    notes = list(view.notes)
    if view.chart is not None and not view.error:
        spec, notes = spec_and_notes(view, width)
        spec.pop("usermeta", None)
        spec = _lighter(spec)
        if marks:
            annotate(spec, marks)
            notes += [f"{mark['at']}: {mark['text']}" for mark in marks]
    return Picture(
        title=view.title, says=view.says, spec=spec,
        alt=str((spec or {}).get("description", "")) or view.title, table=table_of(view.rows, view.units, view.grain),
        notes=notes, sql=list(view.sql) if show_sql else (), error=view.error, address=address, drill=drill or {},
        exports=exports,
    )  # fmt: skip


def _lighter(node: Any) -> Any:
    """A spec whose numbers have as many digits as a picture can show; labels and tips are texts and stay exact."""
    if isinstance(node, dict):
        return {key: _lighter(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_lighter(value) for value in node]
    return float(f"{node:.7g}") if isinstance(node, float) else node


def annotate(spec: dict[str, Any], marks: Sequence[Mapping[str, Any]]) -> None:
    """Draw known events as dashed rules over a chart whose axis is time; other charts stay as they are."""
    from prodsense.charts.theme import LIGHT

    layers = spec.get("layer")
    if not layers or not _timed(layers):
        return
    rows = [{"at": str(mark["at"])[:10], "what": str(mark["text"])} for mark in marks]
    axis = next(x for layer in layers if (x := _x(layer)) is not None and x.get("type") == "temporal")
    layers.append({
        "data": {"values": rows},
        "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5, "color": LIGHT.warn},
        "encoding": {
            "x": {"field": "at", "type": "temporal", **{k: axis[k] for k in ("scale", "title", "axis") if k in axis}},
            "tooltip": [
                {"field": "at", "type": "temporal", "title": "day"},
                {"field": "what", "type": "nominal", "title": "event"},
            ],
        },
    })


def _x(layer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = (layer.get("encoding") or {}).get("x")
    return found if isinstance(found, Mapping) else None


def _timed(layers: Sequence[Mapping[str, Any]]) -> bool:
    return any((x := _x(layer)) is not None and x.get("type") == "temporal" for layer in layers)


def headline(tile: Tile) -> dict[str, str]:
    """What `ui.tile` shows of a headline number."""
    return {**tile_parts(tile), "label": tile.label, "says": tile.says, "note": tile.note, "versus": tile.versus}


def table(rows: Any, units: Mapping[str, str] | None = None, grain: str = "", columns: Sequence[str] = ()) -> Any:
    """Rows as `ui.data_table` shows them; only `columns` where given. None when there are none."""
    listed = plain_rows(rows)
    if columns:
        listed = [{name: row.get(name) for name in columns} for row in listed]
    return table_of(listed, units or {}, grain)


def slug(text: str) -> str:
    """A text as the id of a part of a page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
