"""A report: one HTML file that stands alone, or the same page as a picture.

Charts stand in the file as SVG, in two widths, of which CSS shows the one that fits: nothing is fetched, nothing
has to run, and the page prints. A script of a few lines adds the light and dark switch and quicker tooltips.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prodsense.charts.bars import Better, headline
from prodsense.charts.export import NARROW, inline_svg, notes_of, to_spec, to_svg
from prodsense.charts.rows import Row, clean_text, is_period, label_of, period_label, plain_rows
from prodsense.charts.theme import DARK, FONT, LIGHT, MONO, PICTURE_FONT, Mode, css_picture_rules, css_variables
from prodsense.charts.units import NO_DATA, format_value
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Environment

#: A wide chart's width in pixels, inside its card.
WIDE = 600
#: The most rows that a table in a page shows; it says how many there are.
MAX_TABLE_ROWS = 200


@dataclass(frozen=True)
class Tile:
    """A headline number. `value` and `previous` are in `unit`; `trend` is its recent course, nulls as gaps."""

    label: str
    value: float | int | None
    unit: str = ""
    previous: float | int | None = None
    better: Better = "none"
    note: str = ""
    says: str = ""
    versus: str = "the period before"
    trend: tuple[float | int | None, ...] = ()


@dataclass(frozen=True)
class ChartView:
    """A picture with its title, words, data and SQL; `error` stands in its place when it could not be drawn.

    `chart` is an Altair chart or a Vega-Lite spec; None shows `rows` as an open table instead.
    """

    title: str
    says: str = ""
    chart: Any = None
    rows: Sequence[Mapping[str, Any]] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    grain: str = ""
    sql: Sequence[str] = ()
    notes: Sequence[str] = ()
    error: str = ""


@dataclass(frozen=True)
class PolicyView:
    """A policy with its state: holds, broken, or unknown where it could not be checked."""

    name: str
    state: Literal["holds", "broken", "unknown"]
    says: str = ""
    violations: int = 0
    error: str = ""


@dataclass(frozen=True)
class SectionView:
    """A titled part of a page."""

    title: str
    says: str = ""
    tiles: Sequence[Tile] = ()
    charts: Sequence[ChartView] = ()
    policies: Sequence[PolicyView] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """A report. `save` writes it as HTML or PNG; as text it is what a terminal shows."""

    title: str
    subtitle: str = ""
    sections: Sequence[SectionView] = ()
    notes: Sequence[str] = ()

    def save(self, path: str | Path) -> Path:
        """Write the page as ``.html`` (self-contained) or ``.png``, and return the path."""
        target = Path(path)
        if target.suffix.lower() not in (".html", ".png"):
            raise UsageError(f"A page is written as .html or .png, not {target.suffix or 'without an ending'!r}.")
        if not target.parent.is_dir():
            raise UsageError(f"The folder {str(target.parent)!r} does not exist: make it first.")
        if target.suffix.lower() == ".html":
            target.write_bytes(render_page(self).encode())
        else:
            from prodsense.charts.poster import page_png

            target.write_bytes(page_png(self))
        return target

    def __str__(self) -> str:
        from prodsense.charts.terminal import page_text

        return page_text(self)

    def _repr_html_(self) -> str:
        """In a notebook the page stands in a frame of its own, so that its styles do not leak."""
        from html import escape

        document = escape(render_page(self), quote=True)
        return f'<iframe srcdoc="{document}" style="width:100%;height:720px;border:0" title="Report"></iframe>'


def render_page(page: Page, *, theme: Mode | None = None) -> str:
    """The page as one HTML document. `theme` fixes light or dark; without it the reader's setting decides."""
    drawn = [[_drawn(view, f"c{i}-{j}-") for j, view in enumerate(s.charts)] for i, s in enumerate(page.sections)]
    sections = list(zip(page.sections, drawn, strict=True))
    template = _environment().get_template("page.html")
    return clean_text(template.render(page=page, sections=sections, theme=theme, tile=tile_parts, **_styles()))


def tile_parts(tile: Tile) -> dict[str, str]:
    """What a tile shows, as text: ``value``, ``change``, ``arrow``, ``mood``, ``words`` and ``spark`` (SVG path)."""
    parts = headline(tile.value, tile.previous, unit=tile.unit, better=tile.better)
    arrow = {"+": "▲", "−": "▼"}.get(parts["change"][:1], "")
    # Colour is never alone: a reader who cannot see it gets the word.
    words = {"good": "better", "bad": "worse", "flat": ""}[parts["mood"]]
    return {**parts, "arrow": arrow, "words": words, **spark_path(tile.trend)}


def spark_path(values: Sequence[float | int | None], width: float = 120, height: float = 28) -> dict[str, str]:
    """The course of a number as an SVG path (``spark``) with its last point (``dot_x``, ``dot_y``); gaps for nulls."""
    known = [v for v in values if v is not None]
    if len(known) < 3:
        return {"spark": ""}
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    path, pen, dot = [], "M", (0.0, 0.0)
    for i, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        x = 3 + i * (width - 6) / (len(values) - 1)
        y = height - 3 - ((value - low) / span if high > low else 0.5) * (height - 6)
        path.append(f"{pen}{x:.1f},{y:.1f}")
        pen, dot = "L", (x, y)
    return {"spark": "".join(path), "dot_x": f"{dot[0]:.1f}", "dot_y": f"{dot[1]:.1f}"}


def _drawn(view: ChartView, prefix: str) -> dict[str, Any]:
    """What the template needs of a chart: SVGs, its notes, its table."""
    table = table_of(view.rows, view.units, view.grain)
    if view.error or view.chart is None:
        return {"view": view, "table": table, "notes": list(view.notes), "wide": "", "narrow": "", "says": ""}
    spec, notes = spec_and_notes(view)
    says = str(spec.get("description", ""))
    pictures = {
        name: inline_svg(to_svg(spec, width=width), prefix + name[0], says)
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    }
    return {"view": view, "table": table, "notes": notes, "says": says, **pictures}


def spec_and_notes(view: ChartView, width: int | None = None) -> tuple[dict[str, Any], list[str]]:
    """The specification of a view's chart, and what is to be said beside it.

    A page sets titles and notes as text: the chart's own, which would say them twice, are taken out.
    """
    spec = to_spec(view.chart, width=width)
    notes = list(dict.fromkeys([*view.notes, *notes_of(spec)]))
    if view.title or notes:
        spec.pop("title", None)
    return spec, notes


def table_of(rows: Sequence[Mapping[str, Any]], units: Mapping[str, str], grain: str = "") -> dict[str, Any] | None:
    """Rows as text for a table: ``head`` (name, whether numeric), ``body``, ``total``; None when there are none."""
    plain = plain_rows(list(rows))
    if not plain:
        return None
    names = list(dict.fromkeys(name for row in plain[:MAX_TABLE_ROWS] for name in row))
    if all(row.get("period") is None for row in plain) and "period" in names:
        names.remove("period")
    numeric = {n for n in names if any(_is_number(row.get(n)) for row in plain)}
    body = [[_cell(row, n, n in numeric, units, grain) for n in names] for row in plain[:MAX_TABLE_ROWS]]
    return {"head": [(n, n in numeric) for n in names], "body": body, "total": len(plain)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(row: Row, name: str, numeric: bool, units: Mapping[str, str], grain: str) -> str:
    value = row.get(name)
    if value is None:
        return NO_DATA
    if name == "period" and is_period(value):
        return period_label(value, grain)
    if not numeric:
        return label_of(value)
    unit = units.get(name, "")
    if not unit and name.endswith(("_previous", "_delta")):
        unit = units.get(name.rsplit("_", 1)[0], "")
    if name.endswith("_change") and name.rsplit("_", 1)[0] in units:
        unit = "share"
    # A bare whole number may be an id or a year: only numbers with a unit get separators.
    return str(value) if isinstance(value, int) and not unit else format_value(value, unit)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    found = Environment(
        loader=PackageLoader("prodsense.charts", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Only our own SVGs and styles are marked as safe; everything that comes from data is escaped.
    found.filters["svg"] = Markup
    found.filters["json"] = lambda value: Markup(json.dumps(value).replace("<", "\\u003c"))
    return found


@cache
def _styles() -> dict[str, str]:
    return {
        "light_variables": css_variables(LIGHT),
        "dark_variables": css_variables(DARK),
        "picture_rules": css_picture_rules(),
        "font": FONT,
        "mono": MONO,
        "picture_font": PICTURE_FONT,
    }
