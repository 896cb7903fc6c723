"""Effects with their intervals: a forest of metrics, and the course of one over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.parts import HEIGHT, WIDTH, clip, dress, empty, inline, legend, sentence, value_axis
from prodsense.charts.rows import Row, as_number, label_of, need_fields, plain_rows
from prodsense.charts.theme import LIGHT
from prodsense.charts.units import format_value

if TYPE_CHECKING:
    import altair as alt

#: Height of a line of a forest, in pixels.
ROW = 26


def forest(
    data: Any, label: str, value: str, low: str, high: str, *, mood: str | None = None, limit: str | None = None,
    unit: str = "share", title: str = "", notes: Sequence[str] = (), width: int = WIDTH,
) -> alt.LayerChart:
    """One line a row: the point, its interval, and a line at no effect; rows without a value are left out and named.

    `mood` names a column of ``good``, ``bad`` or ``flat``; `limit` one with the worst value allowed, drawn as a tick.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, label, value, low, high, mood, limit)
    points: list[Row] = []
    missing = []
    for row in rows:
        name, at = label_of(row.get(label)), as_number(row.get(value), value)
        if at is None:
            missing.append(name)
            continue
        points.append({
            "label": clip(name, 44), "value": at, "low": as_number(row.get(low), low),
            "high": as_number(row.get(high), high), "mood": row.get(mood) if mood else "flat",
            "limit": as_number(row.get(limit), limit) if limit else None,
        })
    said = [*notes, *([f"Without a value: {', '.join(missing)}."] if missing else [])]
    if not points:
        return empty(title, said, width, HEIGHT)
    order = list(dict.fromkeys(str(point["label"]) for point in points))
    ends = [float(v) for p in points for v in (p["low"], p["high"], p["value"], p["limit"]) if v is not None]
    colour = alt.Color(
        "mood:N", legend=None,
        scale=alt.Scale(domain=["good", "bad", "flat"], range=[LIGHT.good, LIGHT.bad, LIGHT.series[0]]),
    )
    axis = value_axis(unit, min([*ends, 0.0]), max([*ends, 0.0]))
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=260))
    base = alt.Chart(inline(points)).encode(y=y, color=colour)
    zero = alt.Chart(inline([{"zero": 0}])).mark_rule(color=LIGHT.axis).encode(x=alt.X("zero:Q", axis=axis, title=None))
    layers = [
        zero,
        base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", title=None), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("value:Q", title=None)),
    ]
    if any(point["limit"] is not None for point in points):
        limits = alt.Chart(inline([p for p in points if p["limit"] is not None]))
        layers.append(limits.mark_tick(color=LIGHT.ink, thickness=2, size=16).encode(x="limit:Q", y=y))
        said.append("A tick marks the margin of a guardrail.")
    what = "; ".join(f"{p['label']} {format_value(p['value'], unit)}" for p in points[:8])
    return dress(
        alt.layer(*layers), title=title, notes=said, width=width, height=ROW * len(order) + 10,
        description=sentence(title, f"effects with intervals: {what}."),
    )


def course(
    data: Any, x: str, value: str, low: str, high: str, *, outer_low: str | None = None, outer_high: str | None = None,
    series: str | None = None, unit: str = "", title: str = "", notes: Sequence[str] = (), width: int = WIDTH,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """A value over days with its interval as a band, and a wider band around it; a line at no effect."""
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, x, value, low, high, outer_low, outer_high, series)
    columns = {"value": value, "low": low, "high": high, "outer_low": outer_low, "outer_high": outer_high}
    points: list[Row] = []
    for row in rows:
        found: Row = {name: as_number(row.get(c), c) if c else None for name, c in columns.items()}
        if found["value"] is not None:
            points.append({"x": label_of(row.get(x)), "series": label_of(row.get(series)) if series else "", **found})
    if not points:
        return empty(title, notes, width, height)
    # The first days of a test are so wide that they would flatten all others.
    settled = points[len(points) // 5 :] or points
    ends = [float(p[name]) for p in settled for name in ("low", "high") if p[name] is not None] + [0.0]
    pad = (max(ends) - min(ends)) * 0.3 or 1.0
    bottom, top = min(ends) - pad, max(ends) + pad
    scale = alt.Scale(domain=[bottom, top], clamp=True)
    names = list(dict.fromkeys(str(p["series"]) for p in points))[: len(LIGHT.series)]
    colour = alt.Color(
        "series:N", scale=alt.Scale(domain=names, range=list(LIGHT.series[: len(names)])),
        legend=legend(names, symbolOpacity=1) if len(names) > 1 else None,
    )
    base = alt.Chart(inline([p for p in points if p["series"] in names])).encode(
        x=alt.X("x:T", title=None), color=colour
    )
    axis = value_axis(unit, bottom, top)
    layers = [
        alt.Chart(inline([{"zero": 0}])).mark_rule(color=LIGHT.axis).encode(y=alt.Y("zero:Q", scale=scale, axis=axis,
                                                                                    title=None)),
        base.mark_area(opacity=0.2, aria=False).encode(y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=alt.Y("value:Q", scale=scale, title=None)),
    ]
    if outer_low and outer_high:
        outer = base.mark_area(opacity=0.1, aria=False)
        layers.insert(1, outer.encode(y=alt.Y("outer_low:Q", scale=scale, title=None), y2="outer_high:Q"))
    last = points[-1]
    what = f"the effect by day; on {last['x']} {format_value(last['value'], unit)}."
    return dress(
        alt.layer(*layers), title=title, notes=notes, description=sentence(title, what), width=width, height=height
    )
