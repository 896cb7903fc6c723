"""Pictures of predictions: the fan of a forecast, calibration, lift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.parts import HEIGHT, WIDTH, dress, empty, inline, list_values, sentence, value_axis, value_domain
from prodsense.charts.rows import Row, as_number, is_period, need_fields, plain_rows
from prodsense.charts.theme import LIGHT
from prodsense.charts.units import format_value

if TYPE_CHECKING:
    import altair as alt


def fan(
    history: Any, ahead: Any, *, time: str = "time", value: str = "value", y: str = "forecast", low: str = "low",
    high: str = "high", baseline: str | None = "baseline", target: float | None = None, unit: str = "",
    title: str = "", notes: Sequence[str] = (), width: int = WIDTH, height: int = HEIGHT,
) -> alt.LayerChart:
    """What was (a line), what is expected (a thicker one) in its band, the naive rule (dashed), and a target."""
    import altair as alt

    past, rows = plain_rows(history), plain_rows(ahead)
    need_fields(past, time, value)
    need_fields(rows, time, y, low, high)
    if not rows:
        return empty(title, notes, width, height)
    kind = "T" if is_period(rows[0].get(time)) else "Q"
    points: list[Row] = [
        {"x": row.get(time), "y": as_number(row.get(value), value), "what": "past"} for row in past
    ]
    for row in rows:
        known = as_number(row.get(y), y)
        ends = as_number(row.get(low), low), as_number(row.get(high), high)
        tip = f"{row.get(time)}: {format_value(known, unit)}"
        if ends[0] is not None and ends[1] is not None:
            tip += f" ({format_value(ends[0], unit)} to {format_value(ends[1], unit)})"
        points.append({"x": row.get(time), "y": known, "low": ends[0], "high": ends[1], "what": "forecast", "tip": tip})
        if baseline:
            points.append({"x": row.get(time), "y": as_number(row.get(baseline), baseline), "what": "baseline"})
    values = [v for p in points for k in ("y", "low", "high") if (v := p.get(k)) is not None]
    domain = value_domain([*values, *([target] if target is not None else [])], zero=False)
    scale = alt.Scale(domain=list(domain), nice=True, zero=False)
    across = alt.X(f"x:{kind}", title=None)
    upright = alt.Y("y:Q", axis=value_axis(unit, *domain), scale=scale)
    base = alt.Chart(inline(points)).encode(x=across)

    def part(name: str) -> Any:
        return base.transform_filter(f"datum.what == '{name}'")

    band = part("forecast").mark_area(opacity=0.18, color=LIGHT.series[0], aria=False)
    layers = [
        band.encode(y=alt.Y("low:Q", axis=value_axis(unit, *domain), scale=scale), y2="high:Q"),
        part("past").mark_line(color=LIGHT.ink, strokeWidth=1.25, aria=False).encode(y=upright),
    ]
    if baseline:
        layers.append(
            part("baseline").mark_line(color=LIGHT.previous, strokeDash=[4, 3], strokeWidth=1.25, aria=False)
            .encode(y=upright)
        )  # fmt: skip
    dots: Any = alt.OverlayMarkDef(color=LIGHT.series[0], size=30) if len(rows) <= 60 else False
    layers.append(
        part("forecast").mark_line(color=LIGHT.series[0], strokeWidth=2.25, point=dots)
        .encode(y=upright, tooltip=alt.Tooltip("tip:N", title="forecast"))
    )  # fmt: skip
    if target is not None:
        rule = alt.Chart(inline([{"y": target}])).mark_rule(color=LIGHT.warn, strokeDash=[6, 3])
        layers.append(rule.encode(y=alt.Y("y:Q", scale=scale)))
    last = rows[-1]
    told = [(str(r.get(time)), float(v)) for r in (rows[0], last) if (v := as_number(r.get(y), y)) is not None]
    what = f"forecast of {len(rows)} steps after {len(past)} past values; {list_values(told, unit)}."
    said = [*notes, "Line: past; thick: forecast with its interval" + ("; dashed: naive rule." if baseline else ".")]
    return dress(alt.layer(*layers), title=title, notes=said, description=sentence(title, what), width=width,
                 height=height)  # fmt: skip


def calibration(
    data: Any, *, x: str = "predicted", y: str = "observed", low: str = "low", high: str = "high", title: str = "",
    notes: Sequence[str] = (), width: int = WIDTH, height: int = HEIGHT,
) -> alt.LayerChart:
    """How often it came true against how likely it was said to be, with intervals; on the diagonal both agree."""
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, x, y, low, high)
    points: list[dict[str, Any]] = [
        {"x": at, "y": value, "low": as_number(row.get(low), low), "high": as_number(row.get(high), high),
         "tip": f"said {at:.1%}, came {value:.1%} ({int(as_number(row.get('n'), 'n') or 0)} subjects)"}
        for row in rows
        if (at := as_number(row.get(x), x)) is not None and (value := as_number(row.get(y), y)) is not None
    ]  # fmt: skip
    if not points:
        return empty(title, notes, width, height)
    top = min(1.0, 1.08 * max(float(max(p["x"], p["y"], p["high"] or 0.0)) for p in points))
    scale = alt.Scale(domain=[0, top], nice=False)
    axis = alt.Axis(format=".0%")
    line = alt.Chart(inline([{"x": 0, "y": 0}, {"x": top, "y": top}]))
    line = line.mark_line(color=LIGHT.axis, strokeDash=[4, 3], aria=False)
    across = alt.X("x:Q", scale=scale, axis=axis, title="predicted")
    base = alt.Chart(inline(points)).encode(x=across)
    upright = alt.Y("y:Q", scale=scale, axis=axis, title="observed")
    bars = base.mark_rule(color=LIGHT.series[0], strokeWidth=1.5, aria=False)
    chart = alt.layer(
        line.encode(x=across, y=upright),
        bars.encode(y=alt.Y("low:Q", scale=scale, axis=axis, title="observed"), y2="high:Q"),
        base.mark_point(filled=True, size=60, color=LIGHT.series[0], opacity=1)
        .encode(y=upright, tooltip=alt.Tooltip("tip:N", title="calibration")),
    )  # fmt: skip
    told = [(f"{p['x']:.0%}", float(p["y"])) for p in points]
    what = f"observed shares by predicted ones; {list_values(told, 'share')}."
    return dress(chart, title=title, notes=notes, description=sentence(title, what), width=width, height=height)


def lift(
    data: Any, *, x: str = "decile", y: str = "rate", low: str = "low", high: str = "high", base_rate: float,
    title: str = "", notes: Sequence[str] = (), width: int = WIDTH, height: int = HEIGHT,
) -> alt.LayerChart:
    """How often it came true by tenth of the score, the highest first, against the share of all."""
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, x, y, low, high)
    points: list[dict[str, Any]] = [
        {"x": str(row.get(x)), "y": value, "low": as_number(row.get(low), low), "high": as_number(row.get(high), high)}
        for row in rows if (value := as_number(row.get(y), y)) is not None
    ]  # fmt: skip
    if not points:
        return empty(title, notes, width, height)
    domain = [0.0, max(float(p["high"] or p["y"]) for p in points)]
    scale = alt.Scale(domain=domain, nice=True)
    axis = alt.Axis(format=".0%")
    order = [str(p["x"]) for p in points]
    base = alt.Chart(inline(points)).encode(x=alt.X("x:N", sort=order, title=x, axis=alt.Axis(labelAngle=0)))
    rule = alt.Chart(inline([{"y": base_rate}])).mark_rule(color=LIGHT.previous, strokeDash=[4, 3])
    chart = alt.layer(
        base.mark_bar(color=LIGHT.series[0]).encode(y=alt.Y("y:Q", scale=scale, axis=axis, title=None)),
        base.mark_rule(color=LIGHT.ink, aria=False).encode(y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q"),
        rule.encode(y=alt.Y("y:Q", scale=scale, title=None)),
    )
    told = [(str(p["x"]), float(p["y"])) for p in points]
    what = f"rates by {x}; {list_values(told, 'share')}; {base_rate:.1%} of all."
    return dress(chart, title=title, notes=notes, description=sentence(title, what), width=width, height=height)
