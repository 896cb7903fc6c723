"""Pictures over time (or another ordered axis): lines and stacked areas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.parts import (
    CHAR,
    HEIGHT,
    MAX_TIPS,
    WIDTH,
    clip,
    dress,
    empty,
    extremes,
    inline,
    legend,
    list_values,
    sentence,
    value_axis,
    value_domain,
)
from prodsense.charts.rows import (
    MAX_SERIES,
    Row,
    as_number,
    by_name,
    fill_periods,
    is_period,
    label_of,
    largest,
    natural_key,
    need_fields,
    period_label,
    plain_rows,
)
from prodsense.charts.theme import LIGHT
from prodsense.charts.units import format_value, unit_note
from prodsense.errors import UsageError

if TYPE_CHECKING:
    import altair as alt

INCOMPLETE_NOTE = "Dashed with a hollow point: the period is not complete yet."


class _Axis:
    """The ordered axis of a line or area: periods, numbers or labels."""

    def __init__(self, values: Iterable[Any], grain: str, title: str | None) -> None:
        given = [v for v in values if v is not None]
        self.grain, self.title = grain, title
        if given and all(is_period(v) for v in given):
            self.kind = "time"
            self.values: list[Any] = fill_periods(given, grain)
        elif given and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
            self.kind, self.values = "number", sorted(set(given))
        else:
            # Labels keep the order in which the rows bring them.
            self.kind, self.values = "label", list(dict.fromkeys(label_of(v) for v in given))

    def key(self, value: Any) -> Any:
        return label_of(value) if self.kind == "label" else value

    def label(self, value: Any) -> str:
        return period_label(value, self.grain) if self.kind == "time" else label_of(value)

    def encoding(self) -> Any:
        import altair as alt

        if self.kind == "label":
            angle = 0 if sum(len(str(v)) + 2 for v in self.values) * CHAR < WIDTH else -35
            return alt.X("x:O", sort=self.values, title=self.title, axis=alt.Axis(labelAngle=angle))
        if self.kind == "number":
            scale = alt.Scale(nice=False, zero=False)
            # With g, 120 would be told as 1.2e+2.
            return alt.X("x:Q", title=self.title, scale=scale, axis=alt.Axis(format=",~f", ticks=True))
        if any(len(str(v)) > 10 for v in self.values):
            grain, ticks = "moment", dict[str, Any](tickCount=8)
        else:
            grain, ticks = self.grain, {"values": tick_periods(self.values, self.grain)}
        expression = _LABELS.get(grain, _LABELS["day"])
        axis = alt.Axis(labelExpr=expression, labelOverlap="greedy", labelSeparation=6, labelFlush=True, **ticks)
        return alt.X("x:T", title=self.title, scale=alt.Scale(type="utc", nice=False), axis=axis)


def tick_periods(periods: Sequence[str], grain: str, most: int = 9) -> list[str]:
    """At most `most` of the periods to label, in even steps that people count in (weeks, quarters, years)."""
    steps = {"day": (1, 2, 7, 14, 28), "week": (1, 2, 4, 8), "month": (1, 2, 3, 6, 12), "quarter": (1, 2, 4)}
    need = -(-len(periods) // most)
    step = next((s for s in steps.get(grain, ()) if s >= need), need)
    if grain in ("month", "quarter") and step > 1:
        # Count from a January, so that the labels fall on the quarters and years themselves.
        first = next((i for i, p in enumerate(periods) if p[5:7] == "01"), 0)
        return list(periods[first % step :: step])
    return list(periods[::step])


def _dated(text: str) -> str:
    """A tick's text, with the year below it on the first tick and wherever a year begins."""
    year = "utcFormat(datum.value, '%Y')"
    begins = "datum.index === 0 || (utcmonth(datum.value) === 0 && utcdate(datum.value) <= 7)"
    return f"{begins} ? [utcFormat(datum.value, '{text}'), {year}] : utcFormat(datum.value, '{text}')"


_LABELS = {
    "day": _dated("%-d %b"),
    "week": _dated("%-d %b"),
    "month": _dated("%b"),
    "quarter": "['Q' + utcquarter(datum.value), utcFormat(datum.value, '%Y')]",
    "year": "utcFormat(datum.value, '%Y')",
    "moment": "[utcFormat(datum.value, '%H:%M'), utcFormat(datum.value, '%-d %b')]",
}


def _series_table(
    rows: list[Row], axis: _Axis, x: str, fields: Sequence[str], series: str | None
) -> dict[str, dict[Any, list[float | int | None]]]:
    """``{series: {x: [value of each field]}}``; two rows for one place are refused, never overdrawn."""
    table: dict[str, dict[Any, list[float | int | None]]] = {}
    for row in rows:
        if row.get(x) is None:
            continue
        name = label_of(row.get(series)) if series else ""
        at = axis.key(row[x])
        places = table.setdefault(name, {})
        if at in places:
            who = f" of {name!r}" if series else ""
            raise UsageError(
                f"Two rows{who} share {x} {at!r}: say which field tells them apart (series), or aggregate first."
            )
        places[at] = [as_number(row.get(f), f) for f in fields]
    return table


def _size(places: dict[Any, list[float | int | None]]) -> float:
    return float(sum(abs(v[0]) for v in places.values() if v[0] is not None))


def line(
    data: Any,
    x: str,
    y: str,
    *,
    series: str | None = None,
    previous: str | None = None,
    previous_label: str = "previous period",
    current_label: str = "this period",
    unit: str = "",
    title: str = "",
    x_title: str | None = None,
    series_title: str | None = None,
    grain: str = "",
    incomplete: Iterable[str] = (),
    notes: Sequence[str] = (),
    zero: bool = False,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """A line over periods, numbers or ordered labels; one for each value of `series`, the 8 largest at most.

    `previous` names a field with the value to compare with, drawn dashed. A missing or null value is a
    gap, never 0 and never bridged; with a `grain`, periods without a row are gaps too. Periods listed
    in `incomplete` are drawn dashed up to a hollow point.
    Raises `UsageError` for unknown fields, for text where a number belongs and for two values at one place.
    """
    import altair as alt

    rows, late = plain_rows(data), {str(p) for p in incomplete}
    need_fields(rows, x, y, series, previous)
    axis = _Axis((r.get(x) for r in rows), grain, x_title)
    fields = [y, previous] if previous else [y]
    table = _series_table(rows, axis, x, fields, series)
    values = [v for places in table.values() for pair in places.values() for v in pair if v is not None]
    said = [unit_note(unit), *notes]
    if not values:
        return empty(title, said, width, height)
    blank = [name for name, places in table.items() if all(pair[0] is None for pair in places.values())]
    table = {name: places for name, places in table.items() if name not in blank}
    if not table:
        return empty(title, said, width, height)
    if blank:
        said.append(f"Without any data: {', '.join(clip(name) for name in blank[:5])}.")
    names = by_name(largest({name: _size(places) for name, places in table.items()}, MAX_SERIES))
    if len(table) > len(names):
        said.append(f"The {len(names)} largest of {len(table)} are shown.")
    points = [p for name in names for p in _points(table[name], axis, name, late, unit)]
    shown = [v for p in points for v in (p["y"], p["previous"]) if v is not None]
    domain = value_domain(shown, zero=zero)
    if any(p["incomplete"] and p["y"] is not None for p in points):
        said.append(INCOMPLETE_NOTE)

    base = alt.Chart(inline(points)).encode(
        x=axis.encoding(),
        y=alt.Y("y:Q", axis=value_axis(unit, *domain), scale=alt.Scale(domain=list(domain), nice=True, zero=False)),
    )
    layers: list[Any] = []
    if series:
        colour: Any = alt.Color(
            "series:N", scale=alt.Scale(domain=names), legend=legend(names, series_title, symbolType="stroke")
        )
        marked = base.encode(color=colour)
        if previous:
            dots = marked.encode(y=alt.Y("previous:Q"))
            layers.append(dots.mark_line(strokeDash=[6, 4], strokeWidth=1.5, opacity=0.55, aria=False))
            said.append(f"Long dashes: {previous_label}.")
    elif previous:
        # Two named lines: the legend tells them apart by colour and by dash.
        both = alt.Scale(domain=[current_label, previous_label], range=[LIGHT.series[0], LIGHT.previous])
        key = legend([current_label, previous_label], None, symbolType="stroke")
        marked = base.encode(color=alt.Color("name:N", scale=both, legend=key))
        marked = marked.transform_calculate(name=_quoted(current_label))
        then = base.transform_calculate(name=_quoted(previous_label)).encode(
            y=alt.Y("previous:Q"), color=alt.Color("name:N", scale=both, legend=key)
        )
        layers.append(then.mark_line(strokeDash=[6, 4], strokeWidth=1.75, aria=False))
    else:
        marked = base.encode(color=alt.value(LIGHT.series[0]))
    layers.append(marked.encode(y=alt.Y("solid:Q")).mark_line(aria=False))
    if any(p["partial"] is not None for p in points):
        layers.append(marked.encode(y=alt.Y("partial:Q")).mark_line(strokeDash=[2, 4], aria=False))
    if any(p["alone"] for p in points):
        dots = marked.transform_filter("datum.alone")
        layers.append(dots.mark_point(filled=True, size=34, opacity=1, aria=False))
    if any(p["incomplete"] and p["y"] is not None for p in points):
        hollow = marked.transform_filter("datum.incomplete && datum.y !== null")
        layers.append(hollow.mark_point(fill=LIGHT.surface, size=44, strokeWidth=2, opacity=1, aria=False))
    if len(points) <= MAX_TIPS:
        tips = base.transform_filter("datum.y !== null").encode(
            description="tip:N", tooltip=_tooltips(series_title or series, bool(previous), previous_label)
        )
        layers.append(tips.mark_point(filled=True, size=160, opacity=0, stroke=None))

    chart = alt.layer(*layers)
    text = _describe(title, names, table, axis, unit, series_title or series or "", late)
    return dress(chart, title=title, notes=said, description=text, width=width, height=height)


def _quoted(text: str) -> str:
    """A Vega expression for a constant text."""
    import json

    return json.dumps(text)


def _tooltips(series: str | None, previous: bool, previous_label: str) -> list[Any]:
    import altair as alt

    tips = [alt.Tooltip("label:N", title="at"), alt.Tooltip("value:N", title="value")]
    if series:
        tips.insert(1, alt.Tooltip("series:N", title=series))
    if previous:
        tips.append(alt.Tooltip("before:N", title=previous_label))
    return tips


def _points(
    places: dict[Any, list[float | int | None]], axis: _Axis, name: str, late: set[str], unit: str
) -> list[Row]:
    """The points of one series on the whole axis.

    `solid` holds the values of complete periods. `partial` holds those of incomplete ones and of the
    complete neighbours that a dashed stretch starts or ends at. `alone`: no neighbour to draw a line to.
    """
    blank: list[float | int | None] = [None, None]
    ys = [places.get(v, blank)[0] for v in axis.values]
    open_ = [str(v) in late for v in axis.values]
    points = []
    for i, at in enumerate(axis.values):
        value, pair = ys[i], places.get(at, blank)
        near = [j for j in (i - 1, i + 1) if 0 <= j < len(ys) and ys[j] is not None]
        before = pair[1] if len(pair) > 1 else None
        text = f"{axis.label(at)}: {name + ' ' if name else ''}{format_value(value, unit)}"
        if before is not None:
            text += f", before {format_value(before, unit)}"
        points.append(
            {
                "x": at,
                "series": name,
                "y": value,
                "solid": None if open_[i] else value,
                "partial": value if open_[i] or any(open_[j] for j in near) else None,
                "previous": before,
                "incomplete": open_[i],
                "alone": value is not None and not near and not open_[i],
                "label": axis.label(at),
                "value": format_value(value, unit),
                "before": format_value(before, unit),
                "tip": text + (" (incomplete)" if open_[i] else ""),
            }
        )
    return points


def _describe(
    title: str,
    names: list[str],
    table: dict[str, dict[Any, list[float | int | None]]],
    axis: _Axis,
    unit: str,
    series: str,
    late: set[str],
) -> str:
    def known(name: str) -> list[tuple[str, float]]:
        places = table[name]
        pairs = ((axis.label(at), places[at][0]) for at in axis.values if at in places)
        return [(label, value) for label, value in pairs if value is not None]

    over = f" by {axis.grain}" if axis.grain and axis.grain != "all" else ""
    if len(names) == 1:
        text = f"line{over}, {extremes(known(names[0]), unit)}."
    else:
        last = [(name, known(name)[-1][1]) for name in names if known(name)]
        text = f"{len(names)} lines{over}, one for each {series or 'series'}; "
        text += f"last values: {list_values(last, unit)}."
    gaps = sum(1 for at in axis.values if all(table[n].get(at, [None])[0] is None for n in names))
    if gaps:
        text += f" {gaps} of {len(axis.values)} places have no data."
    if late & {str(v) for v in axis.values}:
        text += " The newest periods are not complete."
    return sentence(title, text)


def area(
    data: Any,
    x: str,
    y: str,
    *,
    series: str,
    unit: str = "",
    title: str = "",
    x_title: str | None = None,
    series_title: str | None = None,
    grain: str = "",
    incomplete: Iterable[str] = (),
    notes: Sequence[str] = (),
    width: int = WIDTH,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """Areas stacked on each other, the largest at the bottom; what is beyond 8 is folded into "other".

    Stacking adds the series up: draw only what may be added (counts, sums), never rates or distincts
    that overlap. Where no series has a value there is a gap; incomplete periods are drawn pale.
    Raises `UsageError` for negative values, which cannot be stacked.
    """
    import altair as alt

    rows, late = plain_rows(data), {str(p) for p in incomplete}
    need_fields(rows, x, y, series)
    axis = _Axis((r.get(x) for r in rows), grain, x_title)
    table = _series_table(rows, axis, x, [y], series)
    values = [v[0] for places in table.values() for v in places.values() if v[0] is not None]
    said = [unit_note(unit), *notes]
    if not values:
        return empty(title, said, width, height)
    if min(values) < 0:
        raise UsageError(f"Field {y!r} has negative values, which cannot be stacked: draw them as lines.")
    names = largest({name: _size(places) for name, places in table.items()}, MAX_SERIES)
    given = set(names)
    if len(table) > MAX_SERIES:
        names, table = _fold_other(names[: MAX_SERIES - 1], table)
        said.append(f"{names[-1].capitalize()} adds up what is smaller than the {MAX_SERIES - 1} shown.")
    points = _stack(names, table, axis, late, unit)
    coloured = by_name(n for n in names if n in given) + [n for n in names if n not in given]
    top = max(p["y1"] for p in points if p["y1"] is not None)
    if any(p["incomplete"] and p["y1"] is not None for p in points):
        said.append("Pale: the period is not complete yet.")

    scale = alt.Scale(domain=[0, top], nice=True)
    base = alt.Chart(inline(points)).encode(
        x=axis.encoding(),
        color=alt.Color(
            "series:N", scale=alt.Scale(domain=coloured), legend=legend(coloured, series_title, symbolType="square")
        ),
    )
    axis_y = value_axis(unit, 0, top)
    layers = [
        base.encode(y=alt.Y("solid0:Q", axis=axis_y, scale=scale), y2="solid1:Q").mark_area(
            opacity=0.9, stroke=LIGHT.surface, strokeWidth=0.75, aria=False
        )
    ]
    if any(p["partial1"] is not None for p in points):
        layers.append(
            base.encode(y=alt.Y("partial0:Q", axis=axis_y, scale=scale), y2="partial1:Q").mark_area(
                opacity=0.4, stroke=LIGHT.surface, strokeWidth=0.75, aria=False
            )
        )
    if any(p["alone"] for p in points):
        posts = base.transform_filter("datum.alone")
        layers.append(
            posts.encode(y=alt.Y("y0:Q", axis=axis_y, scale=scale), y2="y1:Q").mark_rule(strokeWidth=3, aria=False)
        )
    if len(points) <= MAX_TIPS:
        tips = base.transform_filter("datum.y1 !== null").encode(
            y=alt.Y("y0:Q", axis=axis_y, scale=scale),
            y2="y1:Q",
            description="tip:N",
            tooltip=_tooltips(series_title or series, False, ""),
        )
        layers.append(tips.mark_bar(opacity=0, width=9))

    totals = [
        (axis.label(at), float(sum(found)))
        for at in axis.values
        if (found := [v for n in names if (v := table[n].get(at, [None])[0]) is not None])
    ]
    what = f"{len(names)} stacked areas ({', '.join(clip(n) for n in names)}); total {extremes(totals, unit)}."
    return dress(
        alt.layer(*layers),
        title=title,
        notes=said,
        description=sentence(title, what),
        width=width,
        height=height,
    )


def _fold_other(
    kept: list[str], table: dict[str, dict[Any, list[float | int | None]]]
) -> tuple[list[str], dict[str, dict[Any, list[float | int | None]]]]:
    """Add up all but the kept series into one named ``other (n)``."""
    rest = [name for name in sorted(table, key=natural_key) if name not in kept]
    other: dict[Any, list[float | int | None]] = {}
    for name in rest:
        for at, (value, *_) in table[name].items():
            if value is not None:
                have = other.get(at, [None])[0]
                other[at] = [value + (have or 0)]
    name = f"other ({len(rest)})"
    return [*kept, name], {**{n: table[n] for n in kept}, name: other}


def _stack(
    names: list[str],
    table: dict[str, dict[Any, list[float | int | None]]],
    axis: _Axis,
    late: set[str],
    unit: str,
) -> list[Row]:
    """Each series' lower and upper edge at each place; both null where the series has no value."""
    edges: dict[str, list[tuple[float, float] | None]] = {name: [] for name in names}
    for at in axis.values:
        level = 0.0
        for name in names:
            value = table[name].get(at, [None])[0]
            edges[name].append(None if value is None else (level, level + value))
            level += value or 0
    open_ = [str(v) in late for v in axis.values]
    points = []
    for name in names:
        for i, at in enumerate(axis.values):
            edge = edges[name][i]
            near = [j for j in (i - 1, i + 1) if 0 <= j < len(open_) and edges[name][j] is not None]
            # A stretch is pale when it leads to or from an incomplete period: a complete period beside
            # one ends the full stretch and begins the pale one, so its edge stands in both.
            solid = edge if not open_[i] else None
            partial = edge if open_[i] or any(open_[j] for j in near) else None
            value = table[name].get(at, [None])[0]
            points.append(
                {
                    "x": at,
                    "series": name,
                    **dict(zip(("y0", "y1"), edge or (None, None), strict=True)),
                    **dict(zip(("solid0", "solid1"), solid or (None, None), strict=True)),
                    **dict(zip(("partial0", "partial1"), partial or (None, None), strict=True)),
                    "incomplete": open_[i],
                    "alone": edge is not None and not near,
                    "label": axis.label(at),
                    "value": format_value(value, unit),
                    "tip": f"{axis.label(at)}: {name} {format_value(value, unit)}"
                    + (" (incomplete)" if open_[i] else ""),
                }
            )
    return points
