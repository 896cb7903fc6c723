"""Pictures of effects: event studies with their band, counterfactuals with the gap and its sum, balance, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.parts import (
    HEIGHT,
    MAX_TIPS,
    WIDTH,
    clip,
    dress,
    empty,
    inline,
    legend,
    list_values,
    sentence,
    value_axis,
    value_domain,
)
from prodsense.charts.rows import Row, as_number, is_period, label_of, need_fields, plain_rows
from prodsense.charts.theme import LIGHT
from prodsense.charts.units import format_value

if TYPE_CHECKING:
    import altair as alt

#: Lines of placebos beyond this say no more and cost a second each.
MAX_PLACEBOS = 100


def event_study(
    data: Any, x: str, y: str, *, low: str, high: str, band_low: str | None = None, band_high: str | None = None,
    unit: str = "", title: str = "", x_title: str = "periods since the change", notes: Sequence[str] = (),
    width: int = WIDTH, height: int = HEIGHT,
) -> alt.LayerChart:
    """Estimates by periods since a change, each with its interval, over a pale band for all of them at once.

    A line at 0, and one between the last period before the change (-1) and the first after it (0).
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, x, y, low, high, band_low, band_high)
    points: list[Row] = []
    for row in rows:
        at, value = as_number(row.get(x), x), as_number(row.get(y), y)
        if at is None or value is None:
            continue
        ends = {key: as_number(row.get(name), name) if name else None for key, name in
                (("low", low), ("high", high), ("band_low", band_low), ("band_high", band_high))}  # fmt: skip
        text = f"{at:g}: {format_value(value, unit)}"
        if ends["low"] is not None and ends["high"] is not None:
            text += f" ({format_value(ends['low'], unit)} to {format_value(ends['high'], unit)})"
        points.append({"x": at, "y": value, "tip": text, **ends})
    if not points:
        return empty(title, notes, width, height)
    values = [v for p in points for k in ("y", "low", "high", "band_low", "band_high") if (v := p[k]) is not None]
    domain = value_domain([*values, 0.0], zero=False)
    scale = alt.Scale(domain=list(domain), nice=True, zero=False)
    base = alt.Chart(inline(points)).encode(
        x=alt.X("x:Q", title=x_title, axis=alt.Axis(format="d", tickMinStep=1), scale=alt.Scale(nice=False, padding=12))
    )
    y_axis = alt.Y("y:Q", axis=value_axis(unit, *domain), scale=scale)
    layers: list[Any] = []
    if band_low and band_high:
        area = base.transform_filter("isValid(datum.band_low)")
        area = area.mark_area(opacity=0.14, color=LIGHT.series[0], aria=False)
        layers.append(area.encode(y=alt.Y("band_low:Q", axis=value_axis(unit, *domain), scale=scale), y2="band_high:Q"))
    layers += [_level(0.0, scale), _moment(-0.5, "Q")]
    bars = base.transform_filter("isValid(datum.low)").mark_rule(color=LIGHT.series[0], strokeWidth=1.75, aria=False)
    layers.append(bars.encode(y=alt.Y("low:Q", axis=value_axis(unit, *domain), scale=scale), y2="high:Q"))
    dots = base.mark_point(filled=True, size=52, color=LIGHT.series[0], opacity=1)
    layers.append(dots.encode(y=y_axis, tooltip=alt.Tooltip("tip:N", title="effect"), description="tip:N"))
    told = [(f"{p['x']:g}", float(p["y"])) for p in points]
    what = f"effects by {x_title}, with intervals; {list_values(told, unit)}."
    return dress(
        alt.layer(*layers), title=title, notes=notes, description=sentence(title, what), width=width, height=height
    )


def intervals(
    data: Any, label: str, y: str, *, low: str, high: str, unit: str = "", title: str = "", notes: Sequence[str] = (),
    width: int = WIDTH,
) -> alt.LayerChart:
    """Estimates below each other, each with its interval, and a line at 0."""
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, label, y, low, high)
    points: list[Row] = []
    for row in rows:
        value = as_number(row.get(y), y)
        if value is None:
            continue
        ends = as_number(row.get(low), low), as_number(row.get(high), high)
        text = f"{label_of(row.get(label))}: {format_value(value, unit)}"
        if ends[0] is not None and ends[1] is not None:
            text += f" ({format_value(ends[0], unit)} to {format_value(ends[1], unit)})"
        name = clip(label_of(row.get(label)))
        points.append({"label": name, "x": value, "low": ends[0], "high": ends[1], "tip": text})
    if not points:
        return empty(title, notes, width, HEIGHT)
    values = [v for p in points for k in ("x", "low", "high") if (v := p[k]) is not None]
    domain = value_domain([*values, 0.0], zero=False)
    scale = alt.Scale(domain=list(domain), nice=True, zero=False)
    names = list(dict.fromkeys(p["label"] for p in points))
    across = value_axis(unit, *domain)
    base = alt.Chart(inline(points)).encode(y=alt.Y("label:N", sort=names, title=None))
    bars = base.transform_filter("isValid(datum.low)").mark_rule(color=LIGHT.series[0], strokeWidth=2, aria=False)
    dots = base.mark_point(filled=True, size=60, color=LIGHT.series[0], opacity=1)
    zero = alt.Chart(inline([{"x": 0}])).mark_rule(color=LIGHT.axis, aria=False).encode(x=alt.X("x:Q", scale=scale))
    chart = alt.layer(
        zero,
        bars.encode(x=alt.X("low:Q", axis=across, scale=scale), x2="high:Q"),
        dots.encode(x=alt.X("x:Q", axis=across, scale=scale), tooltip=alt.Tooltip("tip:N", title="estimate"),
                    description="tip:N"),
    )  # fmt: skip
    told = [(str(p["label"]), float(p["x"])) for p in points]
    what = f"{len(points)} estimates with intervals; {list_values(told, unit)}."
    height = max(60, 26 * len(names))
    return dress(chart, title=title, notes=notes, description=sentence(title, what), width=width, height=height)


def love(
    data: Any, *, label: str = "covariate", before: str = "before", after: str = "after", threshold: float = 0.1,
    title: str = "", notes: Sequence[str] = (), width: int = WIDTH,
) -> alt.LayerChart:
    """A love plot: the size of each covariate's standardised difference before and after adjustment, largest first."""
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, label, before, after)
    if not rows:
        return empty(title, notes, width, HEIGHT)
    ranked = sorted(rows, key=lambda row: -abs(as_number(row.get(before), before) or 0.0))
    points: list[Row] = []
    pairs: list[Row] = []
    for row in ranked:
        name = clip(label_of(row.get(label)))
        sizes = {"before": abs(as_number(row.get(before), before) or 0.0),
                 "after": abs(as_number(row.get(after), after) or 0.0)}  # fmt: skip
        pairs.append({"label": name, "low": min(sizes.values()), "high": max(sizes.values())})
        points += [{"label": name, "x": size, "when": when, "tip": f"{name} {when}: {size:.3f}"}
                   for when, size in sizes.items()]  # fmt: skip
    names = [pair["label"] for pair in pairs]
    scale = alt.Scale(domainMin=0, nice=True)
    colours = alt.Scale(domain=["before", "after"], range=[LIGHT.previous, LIGHT.series[0]])
    y = alt.Y("label:N", sort=names, title=None)
    limit = alt.Chart(inline([{"x": threshold}])).mark_rule(color=LIGHT.warn, strokeDash=[4, 4], aria=False)
    links = alt.Chart(inline(pairs)).mark_rule(color=LIGHT.ghost, strokeWidth=2, aria=False)
    dots = alt.Chart(inline(points)).mark_point(filled=True, size=64, opacity=1)
    chart = alt.layer(
        limit.encode(x=alt.X("x:Q", scale=scale)),
        links.encode(y=y, x=alt.X("low:Q", scale=scale), x2="high:Q"),
        dots.encode(
            y=y, x=alt.X("x:Q", scale=scale, title="standardised difference of means", axis=alt.Axis(format=".2~f")),
            color=alt.Color("when:N", scale=colours, legend=legend(["before", "after"])),
            tooltip=alt.Tooltip("tip:N", title="difference"), description="tip:N",
        ),
    )  # fmt: skip
    wide = [p["label"] for p in points if p["when"] == "after" and p["x"] > threshold]
    what = f"balance of {len(names)} covariates before and after adjustment; "
    what += f"beyond {threshold:g} after: {', '.join(wide)}." if wide else f"none beyond {threshold:g} after."
    height = max(60, 24 * len(names))
    return dress(chart, title=title, notes=notes, description=sentence(title, what), width=width, height=height)


def counterfactual(
    data: Any, x: str, actual: str, usual: str, *, gap: str, low: str | None = None, high: str | None = None,
    cumulative: str | None = None, cumulative_low: str | None = None, cumulative_high: str | None = None,
    since: Any = None, placebos: Sequence[Sequence[float]] | None = None, unit: str = "", title: str = "",
    notes: Sequence[str] = (), width: int = WIDTH,
) -> Any:
    """A series beside what it would have been, the gap between them with its band, and the gap's sum since the change.

    `placebos`: the gaps of others in the treated one's place, one list each over the same periods, drawn thin.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, x, actual, usual, gap, low, high, cumulative, cumulative_low, cumulative_high)
    fields = {"actual": actual, "usual": usual, "gap": gap, "low": low, "high": high, "sum": cumulative,
              "sum_low": cumulative_low, "sum_high": cumulative_high}  # fmt: skip
    points = [
        {"x": row[x], **{key: as_number(row.get(name), name) if name else None for key, name in fields.items()}}
        for row in rows if row.get(x) is not None
    ]  # fmt: skip
    if not any(p["actual"] is not None for p in points):
        return empty(title, notes, width, HEIGHT)
    kind = "T" if all(is_period(p["x"]) for p in points) else "Q"
    line = alt.Scale(type="utc", nice=False) if kind == "T" else alt.Scale(nice=False, zero=False)
    # Years are numbers that take no thousands separator.
    axis = alt.Axis(tickCount=8) if kind == "T" else alt.Axis(format="d", tickMinStep=1)
    across = alt.X(f"x:{kind}", title=None, scale=line, axis=axis)
    start = plain_rows([{"x": since}])[0]["x"] if since is not None else None
    for p in points:
        p["tip"] = f"{p['x']}: {_said(p['actual'], unit)}, without the change {_said(p['usual'], unit)}"
    base = alt.Chart(inline(points)).encode(x=across)
    inner = width - 90
    names = ["actual", "without the change"]
    colours = alt.Scale(domain=names, range=[LIGHT.series[0], LIGHT.previous])
    domain = value_domain([v for p in points for k in ("actual", "usual") if (v := p[k]) is not None], zero=False)
    both = alt.Scale(domain=list(domain), nice=True, zero=False)
    lines = []
    for field, name, dash in (("usual", names[1], [6, 4]), ("actual", names[0], [1, 0])):
        drawn = base.transform_calculate(name=f"'{name}'").mark_line(strokeDash=dash, aria=False)
        lines.append(drawn.encode(
            y=alt.Y(f"{field}:Q", axis=value_axis(unit, *domain), scale=both),
            color=alt.Color("name:N", scale=colours, legend=legend(names, symbolType="stroke")),
        ))  # fmt: skip
    if len(points) <= MAX_TIPS:
        tips = base.transform_filter("isValid(datum.actual)").mark_point(filled=True, size=120, opacity=0)
        lines.append(tips.encode(
            y=alt.Y("actual:Q", scale=both), tooltip=alt.Tooltip("tip:N", title="at"), description="tip:N"
        ))  # fmt: skip
    mark = [_moment(start, kind)] if start is not None else []
    panels = [alt.layer(*mark, *lines).properties(width=inner, height=170)]
    ghosts = [list(p)[: len(points)] for p in (placebos or [])][:MAX_PLACEBOS]
    panels.append(_gaps(points, base, "gap", "low", "high", "gap", unit, mark, inner, ghosts, across))
    if cumulative:
        panels.append(_gaps(points, base, "sum", "sum_low", "sum_high", "gap added up", unit, mark, inner, [], across))
    last = points[-1]
    what = f"actual {_said(last['actual'], unit)} against {_said(last['usual'], unit)} without the change at the end"
    if last["sum"] is not None:
        what += f"; the gap adds up to {_said(last['sum'], unit)}"
    chart = alt.vconcat(*panels, spacing=14)
    return dress(chart, title=title, notes=notes, description=sentence(title, what + "."), width=None)


def _gaps(
    points: Sequence[Row], base: Any, field: str, low: str, high: str, said: str, unit: str, mark: list[Any],
    width: int, ghosts: Sequence[Sequence[float]], across: Any,
) -> Any:
    """A panel with one line around 0, its band, and thin lines of placebos."""
    import altair as alt

    values = [v for p in points for k in (field, low, high) if (v := p[k]) is not None]
    values += [float(v) for ghost in ghosts for v in ghost]
    domain = value_domain([*values, 0.0], zero=False)
    scale = alt.Scale(domain=list(domain), nice=True, zero=False)
    axis = value_axis(unit, *domain, title=said)
    layers: list[Any] = []
    if ghosts:
        thin = [{"x": p["x"], "y": float(v), "who": i} for i, ghost in enumerate(ghosts)
                for p, v in zip(points, ghost, strict=False)]  # fmt: skip
        lines = alt.Chart(inline(thin)).mark_line(color=LIGHT.ghost, strokeWidth=1, aria=False)
        layers.append(lines.encode(x=across, y=alt.Y("y:Q", axis=axis, scale=scale), detail="who:N"))
    elif any(p[low] is not None for p in points):
        band = base.transform_filter(f"isValid(datum.{low})").mark_area(opacity=0.16, color=LIGHT.series[0], aria=False)
        layers.append(band.encode(y=alt.Y(f"{low}:Q", axis=axis, scale=scale), y2=f"{high}:Q"))
    layers += [_level(0.0, scale), *mark]
    drawn = base.mark_line(color=LIGHT.series[0], aria=False)
    layers.append(drawn.encode(y=alt.Y(f"{field}:Q", axis=axis, scale=scale)))
    return alt.layer(*layers).properties(width=width, height=110)


def _level(value: float, scale: Any) -> Any:
    import altair as alt

    return alt.Chart(inline([{"y": value}])).mark_rule(color=LIGHT.axis, aria=False).encode(y=alt.Y("y:Q", scale=scale))


def _moment(value: Any, kind: str) -> Any:
    """A dashed vertical line where the change came."""
    import altair as alt

    rule = alt.Chart(inline([{"x": value}])).mark_rule(color=LIGHT.muted, strokeDash=[3, 3], aria=False)
    return rule.encode(x=alt.X(f"x:{kind}"))


def _said(value: Any, unit: str) -> str:
    return "no value" if value is None else format_value(value, unit)
