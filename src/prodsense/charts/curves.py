"""Curves that fall in steps, with a band around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.parts import HEIGHT, WIDTH, dress, empty, inline, legend, list_values, sentence
from prodsense.charts.rows import Row, as_number, label_of, need_fields, plain_rows
from prodsense.charts.theme import LIGHT

if TYPE_CHECKING:
    import altair as alt


def steps(
    data: Any,
    x: str,
    y: str,
    *,
    low: str | None = None,
    high: str | None = None,
    series: str | None = None,
    title: str = "",
    x_title: str = "",
    notes: Sequence[str] = (),
    width: int = WIDTH,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """A share from 0 to 1 that holds until the next point; one curve for each value of `series`, 8 at most.

    `low` and `high` name the ends of the band. Beyond 8 curves the first 8 are drawn and the subtitle says so.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, x, y, low, high, series)
    names = list(dict.fromkeys(label_of(row.get(series)) for row in rows)) if series else [""]
    said = [*notes]
    if len(names) > len(LIGHT.series):
        said.append(f"{len(LIGHT.series)} of {len(names)} curves are drawn.")
        names = names[: len(LIGHT.series)]
    points: list[Row] = []
    for row in rows:
        name = label_of(row.get(series)) if series else ""
        at, value = as_number(row.get(x), x), as_number(row.get(y), y)
        if name not in names or at is None or value is None:
            continue
        points.append({
            "x": at, "y": value, "series": name,
            "low": as_number(row.get(low), low) if low else None,
            "high": as_number(row.get(high), high) if high else None,
        })
    if not points:
        return empty(title, said, width, height)
    scale = alt.Scale(domain=names, range=list(LIGHT.series[: len(names)]))
    colour = alt.Color("series:N", scale=scale, legend=legend(names, symbolOpacity=1) if series else None)
    base = alt.Chart(inline(points)).encode(
        x=alt.X("x:Q", title=x_title or None, scale=alt.Scale(zero=True, nice=False)), color=colour
    )
    share = alt.Y("y:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%"))
    curve = base.mark_line(interpolate="step-after", strokeWidth=2).encode(y=share)
    layers = [curve]
    if low and high:
        band = base.mark_area(interpolate="step-after", opacity=0.16, aria=False)
        layers.insert(0, band.encode(y=alt.Y("low:Q", title=None, scale=alt.Scale(domain=[0, 1])), y2="high:Q"))
    last = {point["series"]: float(point["y"]) for point in points}
    ends = [(name or "all", value) for name, value in last.items()]
    what = f"{len(names)} falling curve{'' if len(names) == 1 else 's'}; at the end {list_values(ends, 'share')}."
    return dress(
        alt.layer(*layers), title=title, notes=said, description=sentence(title, what), width=width, height=height
    )
