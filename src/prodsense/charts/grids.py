"""Heatmaps: two dimensions, a dimension over time, or the triangle of a retention table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.parts import CHAR, WIDTH, dress, empty, inline, sentence, value_domain
from prodsense.charts.rows import (
    Row,
    as_number,
    is_period,
    label_of,
    natural_key,
    need_fields,
    period_label,
    plain_rows,
)
from prodsense.charts.theme import FLIPPED, FLIPPED_DIVERGING, LIGHT
from prodsense.charts.units import axis_format, format_value, unit_note, unit_suffix
from prodsense.errors import UsageError

if TYPE_CHECKING:
    import altair as alt

CELL = 26
MAX_ROWS = 40
MAX_COLUMNS = 60


def heatmap(
    data: Any,
    x: str,
    y: str,
    value: str,
    *,
    unit: str = "",
    title: str = "",
    x_title: str | None = None,
    y_title: str | None = None,
    grain: str = "",
    notes: Sequence[str] = (),
    width: int = WIDTH,
) -> alt.LayerChart:
    """Cells of `x` by `y`, coloured by `value` in nine steps; the number stands in the cell where it fits.

    Numbers and periods run in their order, labels in the order of the rows. A cell without a row or with
    a null stays blank: a retention triangle keeps its shape. Values on both sides of 0 get a diverging scale.
    More than 40 rows (60 columns) are cut, the earliest first for periods, and the subtitle says so.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, x, y, value)
    said = [unit_note(unit) or _in_words(unit), *notes]
    columns, over_x = _places(rows, x, MAX_COLUMNS)
    lines, over_y = _places(rows, y, MAX_ROWS)
    for over, kept, what in ((over_x, columns, x), (over_y, lines, y)):
        if over:
            said.append(f"{len(kept)} of {over} values of {what} are shown.")
    cells: dict[tuple[str, str], float | int | None] = {}
    for row in rows:
        at = (_key(row.get(x)), _key(row.get(y)))
        if at[0] not in columns or at[1] not in lines:
            continue
        if at in cells:
            raise UsageError(f"Two rows share {x} {at[0]!r} and {y} {at[1]!r}: aggregate first.")
        cells[at] = as_number(row.get(value), value)
    known = {at: v for at, v in cells.items() if v is not None}
    if not known:
        return empty(title, said, width, 120)
    low, high = value_domain(list(known.values()), zero=False)
    split = low < 0 < high
    if split:
        high = max(-low, high)
        low = -high
    low, step_size = _steps(low, high, split)
    high = low + 9 * step_size
    marks: list[Row] = []
    for (at_x, at_y), got in known.items():
        step = max(0, min(8, int((got - low) / step_size)))
        where = f"{_said(y, at_y, lines, grain)}, {_said(x, at_x, columns, grain)}"
        marks.append(
            {
                "x": _label(at_x, grain),
                "y": _label(at_y, grain),
                "value": got,
                "text": _cell_text(got, unit),
                "strong": step in (FLIPPED_DIVERGING if split else FLIPPED),
                "tip": f"{where}: {format_value(got, unit)}",
            }
        )
    x_names, y_names = ([_label(v, grain) for v in names] for names in (columns, lines))
    x_name, y_name = (x_title if x_title is not None else x), (y_title if y_title is not None else y)
    tilted = max(len(n) for n in x_names) * CHAR > (width - 150) / len(x_names)
    thin = len(x_names) * 14 > width - 150
    axis_x = alt.Axis(
        orient="top",
        labelAngle=-45 if tilted and not thin else 0,
        # Tilted labels lie side by side though the boxes around them overlap: none has to give way.
        labelOverlap=False if tilted and not thin else "greedy",
        labelSeparation=3,
        labelLimit=120,
        domain=False,
        ticks=False,
    )
    base = alt.Chart(inline(marks)).encode(
        x=alt.X("x:N", sort=x_names, title=x_name, axis=axis_x, scale=alt.Scale(domain=x_names)),
        y=alt.Y(
            "y:N",
            sort=y_names,
            title=y_name,
            axis=alt.Axis(labelLimit=150, domain=False, ticks=False, titleX=-6, titleAlign="right", titleY=-8),
            scale=alt.Scale(domain=y_names),
        ),
    )
    scheme = list(LIGHT.diverging if split else LIGHT.ramp)
    colour = alt.Color(
        "value:Q",
        scale=alt.Scale(type="quantize", domain=[low, high], range=scheme),
        legend=alt.Legend(title=None, format=axis_format(unit, low, high), gradientLength=300, orient="bottom"),
    )
    layers: list[Any] = [
        base.encode(color=colour, description="tip:N", tooltip=alt.Tooltip("tip:N", title=" ")).mark_rect(
            stroke=LIGHT.surface, strokeWidth=1.5
        )
    ]
    longest = max(len(m["text"]) for m in marks)
    # The layers are named: a narrow rendering leaves out numbers that would not fit (see export.resize).
    numbered = cells_fit(len(x_names), longest, width)
    for strong, shade in ((False, LIGHT.on_weak), (True, LIGHT.on_strong)):
        if numbered and any(m["strong"] is strong for m in marks):
            texts = base.transform_filter(f"datum.strong === {str(strong).lower()}").encode(text="text:N")
            name = f"cell-text-{len(x_names)}-{longest}-{int(strong)}"
            layers.append(texts.mark_text(color=shade, aria=False).properties(name=name))
    top, least = max(marks, key=lambda m: m["value"]), min(marks, key=lambda m: m["value"])
    what = f"heatmap of {len(y_names)} rows ({y_name}) and {len(x_names)} columns ({x_name}); "
    what += f"highest {top['tip']}; lowest {least['tip']}."
    blank = len(x_names) * len(y_names) - len(marks)
    if blank:
        what += f" {blank} cells have no data."
    return dress(
        alt.layer(*layers),
        title=title,
        notes=said,
        description=sentence(title, what),
        width=width,
        height=CELL * len(y_names),
    )


def _steps(low: float, high: float, split: bool) -> tuple[float, float]:
    """Where nine colour steps of a round size begin, and that size, so that they cover `low` to `high`."""
    if split:
        size = _round_up((high - low) / 9)
        return -4.5 * size, size
    size = _round_up((high - low) / 9)
    begin = math.floor(low / size + 1e-9) * size
    while begin + 9 * size < high - 1e-12:
        size = _round_up(size * 1.01)
        begin = math.floor(low / size + 1e-9) * size
    return begin, size


def _round_up(size: float) -> float:
    """The next larger of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(m * power for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if m * power >= size * (1 - 1e-9))


def cells_fit(columns: int, longest: int, width: float) -> bool:
    """Whether cell numbers of `longest` characters fit `columns` cells in a picture of `width` pixels."""
    return (width - 130) / columns >= longest * CHAR + 4


def _in_words(unit: str) -> str:
    """Cells carry no unit, so the note does."""
    return f"In {unit}." if unit_suffix(unit) else ""


def _key(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else label_of(value)


def _places(rows: list[Row], field: str, most: int) -> tuple[list[Any], int]:
    """The values along one side in their order, cut to `most`; and how many there were when cut, else 0."""
    found = list(dict.fromkeys(_key(r.get(field)) for r in rows))
    periods = bool(found) and all(is_period(v) for v in found)
    if periods or all(isinstance(v, int | float) for v in found):
        found.sort(key=natural_key)
    if len(found) <= most:
        return found, 0
    return (found[-most:] if periods else found[:most]), len(found)


def _label(value: Any, grain: str) -> str:
    if is_period(value):
        return period_label(value, "day" if grain == "week" else grain)
    return label_of(value)


def _said(field: str, value: Any, names: list[Any], grain: str) -> str:
    """A place in words; a bare number needs its field's name to mean something."""
    return f"{field} {_label(value, grain)}" if isinstance(value, int | float) else _label(value, grain)


def _cell_text(value: float | int, unit: str) -> str:
    """A number short enough for a cell: no unit, at most four digits."""
    if unit == "share":
        return f"{value * 100:.0f}%" if abs(value) >= 0.0995 or value == 0 else f"{value * 100:.1f}%"
    text = format_value(value, "", compact=True)
    return text if len(text) <= 6 else f"{value:,.0f}"
