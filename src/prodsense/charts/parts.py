"""What all builders share: dressing a chart, legends, axes and alt text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.rows import Row
from prodsense.charts.theme import LIGHT, vega_config
from prodsense.charts.units import axis_format, format_value, short_suffix

if TYPE_CHECKING:
    import altair as alt

WIDTH = 640
HEIGHT = 210
#: More marks than this get no tooltip of their own: the page stays small, the table has the numbers.
MAX_TIPS = 800
#: Mean width in pixels of a character of 11 px text, for deciding what fits.
CHAR = 6.3


def dress(
    chart: Any,
    *,
    title: str = "",
    notes: Sequence[str] = (),
    description: str,
    width: int | None = WIDTH,
    height: int | None = None,
) -> Any:
    """Give a chart its title, notes (as subtitle), size, alt text and the light theme.

    `width` is that of the whole picture, `height` that of the plot inside it: titles and legends come on top.

    Notes are kept in ``usermeta`` too, where a page finds them to set them as text of its own.
    """
    import altair as alt

    said = [note for note in notes if note]
    options: dict[str, Any] = {"description": description, "usermeta": {"prodsense": {"notes": said}}}
    if title or said:
        lines = [line for note in said for line in textwrap.wrap(note, 92)]
        options["title"] = alt.TitleParams(text=title, subtitle=lines or alt.Undefined)
    if width is not None:
        options["width"] = width
        options["autosize"] = alt.AutoSizeParams(type="fit-x", contains="padding")
    if height is not None:
        options["height"] = height
    return chart.properties(**options).configure(**vega_config(LIGHT))


def inline(rows: list[Row]) -> alt.InlineData:
    """Rows as data that travels inside the spec."""
    import altair as alt

    return alt.InlineData(values=rows)


def value_axis(unit: str, low: float, high: float, *, title: str | None = None, **options: Any) -> Any:
    """The axis of a measure, formatted by its unit and never finer than whole counts."""
    import altair as alt

    if unit == "count" and high - low >= 1:
        options.setdefault("tickMinStep", 1)
    fmt = axis_format(unit, low, high)
    # d3 writes a billion as G; people write B.
    text = "replace(datum.label, 'G', 'B')" if fmt.endswith("s") and high >= 1e9 else "datum.label"
    suffix = short_suffix(unit)
    if suffix:
        text += f" + '{suffix}'"
    if text != "datum.label":
        options["labelExpr"] = text
    return alt.Axis(format=fmt, title=title, **options)


def value_domain(values: Sequence[float], *, zero: bool) -> tuple[float, float]:
    """From the least to the most value; from 0 when asked for, or when the values come near it anyway."""
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    if zero or (low >= 0 and low < 0.45 * high):
        low = min(low, 0.0)
        high = max(high, 0.0)
    if low == high:
        pad = abs(high) * 0.1 or 1.0
        low, high = (low - pad if low else 0.0), high + pad
    return (float(low), float(high))


def legend(labels: Sequence[str], title: str | None = None, **options: Any) -> Any:
    """A legend above the chart with as many columns as its width has room for."""
    import altair as alt

    return alt.Legend(title=title, columns=legend_columns(labels, WIDTH), **options)


def legend_columns(labels: Iterable[str], width: float) -> int:
    longest = max((min(len(label), 28) for label in labels), default=1)
    return max(1, int(width // (longest * CHAR + 38)))


def clip(text: str, most: int = 40) -> str:
    """A label short enough to stand in a chart."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def sentence(title: str, what: str) -> str:
    """The first words of an alt text."""
    return f"{title}: {what}" if title else what[:1].upper() + what[1:]


def extremes(points: Sequence[tuple[str, float]], unit: str) -> str:
    """First, last, highest and lowest value in words."""
    if not points:
        return "no data"
    first, last = points[0], points[-1]
    if len(points) == 1:
        return f"{format_value(first[1], unit)} at {first[0]}"
    top, low = max(points, key=lambda p: p[1]), min(points, key=lambda p: p[1])
    return (
        f"from {format_value(first[1], unit)} ({first[0]}) to {format_value(last[1], unit)} ({last[0]}); "
        f"highest {format_value(top[1], unit)} ({top[0]}), lowest {format_value(low[1], unit)} ({low[0]})"
    )


def list_values(points: Sequence[tuple[str, float]], unit: str, most: int = 8) -> str:
    """``a 12, b 3 and 4 more`` in words."""
    text = ", ".join(f"{name} {format_value(value, unit)}" for name, value in points[:most])
    return text + (f" and {len(points) - most} more" if len(points) > most else "")


def empty(title: str, notes: Sequence[str], width: int, height: int) -> Any:
    """The picture of no data: it says so instead of drawing empty axes."""
    import altair as alt

    text = (
        alt.Chart(inline([{"text": "No data for this choice"}]))
        .mark_text(color=LIGHT.muted, fontSize=13)
        .encode(text="text:N")
    )
    return dress(
        text,
        title=title,
        notes=notes,
        description=sentence(title, "no data for this choice."),
        width=width,
        height=min(height, 120),
    )


def spoken(name: str) -> str:
    """A name as people read it: ``on_time_rate`` is On time rate."""
    words = [_WORDS.get(word, word) for word in name.rpartition(".")[2].split("_") if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


#: Parts of names that people write otherwise.
_WORDS = {w: w.upper() for w in ("ab", "csat", "dau", "eta", "id", "mau", "ml", "nps", "roi", "sla", "wau")} | {
    "avg": "average",
    "pct": "share of",
    "num": "number of",
}
