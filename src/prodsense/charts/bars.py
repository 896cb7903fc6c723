"""Pictures that compare lengths: ranked bars, histograms, funnels and the headline number."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from prodsense.charts.parts import (
    CHAR,
    HEIGHT,
    WIDTH,
    clip,
    dress,
    empty,
    inline,
    legend,
    list_values,
    sentence,
    value_axis,
)
from prodsense.charts.rows import MAX_SERIES, Row, as_number, by_name, label_of, largest, need_fields, plain_rows
from prodsense.charts.theme import LIGHT
from prodsense.charts.units import format_change, format_value
from prodsense.errors import UsageError

if TYPE_CHECKING:
    import altair as alt

Better = Literal["up", "down", "none"]
BAND = 26


def bar(
    data: Any,
    label: str,
    value: str,
    *,
    series: str | None = None,
    previous: str | None = None,
    previous_label: str = "previous period",
    unit: str = "",
    title: str = "",
    top: int = 12,
    additive: bool = False,
    sort: Literal["value", "given"] = "value",
    notes: Sequence[str] = (),
    width: int = WIDTH,
) -> alt.LayerChart:
    """Horizontal bars, the largest first (days by time; or as given), with the number at each bar's end.

    Beyond `top` bars the rest is folded into "other" when the measure may be added up (`additive`),
    else it is left out and the subtitle says how many. A null has no bar and says "no data".
    `previous` names a field drawn as a thin mark across the bar. With `series` each label has a bar for each of
    its values (the 8 largest at most); labels are then ordered by their largest bar, and `previous` and `additive`
    do not apply.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, label, value, series, previous)
    if sort == "value" and rows and all(_is_day(row.get(label)) for row in rows):
        # The order of days is that of time, whatever their size.
        rows, sort = sorted(rows, key=lambda row: str(row[label])), "given"
    if series:
        return _grouped(
            rows, label, value, series, unit=unit, title=title, top=top, sort=sort, notes=notes, width=width
        )
    found: dict[str, tuple[float | int | None, float | int | None]] = {}
    for row in rows:
        name = label_of(row.get(label))
        if name in found:
            raise UsageError(f"Two rows share {label} {name!r}: aggregate first, or draw a heatmap of two fields.")
        found[name] = (
            as_number(row.get(value), value),
            as_number(row.get(previous), previous) if previous else None,
        )
    said = list(notes)
    numbers = [v for pair in found.values() for v in pair if v is not None]
    if not numbers:
        return empty(title, said, width, HEIGHT)
    names = list(found)
    if sort == "value":
        names.sort(key=lambda n: (found[n][0] is None, -(found[n][0] or 0), n))
    kept, rest = names[:top], names[top:]
    if rest and additive:
        folded = [v for n in rest if (v := found[n][0]) is not None]
        before = [v for n in rest if (v := found[n][1]) is not None]
        kept.append(f"other ({len(rest)})")
        found[kept[-1]] = (sum(folded) if folded else None, sum(before) if before else None)
        said.append(f"Other adds up the {len(rest)} smaller ones.")
    elif rest:
        said.append(f"The {top} {'largest' if sort == 'value' else 'first'} of {len(names)} are shown.")
    if previous:
        said.append(f"Thin mark: {previous_label}.")

    marks: list[Row] = []
    for name in kept:
        now, then = found[name]
        text = format_value(now, unit, compact=True) if now is not None else "no data"
        tip = f"{name}: {format_value(now, unit) if now is not None else 'no data'}"
        if then is not None:
            tip += f", before {format_value(then, unit)}"
        change = format_change(now, then, unit)
        marks.append(
            {"label": name, "y": now, "previous": then, "text": text, "change": change, "tip": tip, "at": now or 0}
        )
    shown = [v for m in marks for v in (m["y"], m["previous"]) if v is not None]
    low, high = min(0.0, *shown), max(0.0, *shown)
    # Numbers keep their size in pixels whatever the width, so their room is set in pixels too.
    room = (max(len(m["text"]) for m in marks) + 1) * CHAR + 8
    change_room = (max(len(m["change"]) for m in marks) + 1) * CHAR + 8 if previous else 0
    scale = alt.Scale(
        domain=[low, high if high > low else low + 1],
        nice=False,
        rangeMin=room if low < 0 else 0,
        rangeMax=alt.ExprRef(f"width - {room + change_room:.0f}"),
    )
    y = alt.Y(
        "label:N",
        sort=kept,
        title=None,
        axis=alt.Axis(labelLimit=170, domain=False, ticks=False, labelColor=LIGHT.ink),
    )
    base = alt.Chart(inline(marks)).encode(y=y)
    bars = base.encode(
        x=alt.X("y:Q", axis=None, scale=scale), description="tip:N", tooltip=alt.Tooltip("tip:N", title=" ")
    )
    layers: list[Any] = [bars.mark_bar(size=BAND * 0.62, color=LIGHT.series[0], cornerRadiusEnd=2)]
    if previous:
        ticks = base.encode(x=alt.X("previous:Q"))
        layers.append(ticks.mark_tick(size=BAND * 0.78, thickness=2, color=LIGHT.ink, opacity=1, aria=False))
        # Beside a mark of the period before, numbers read best as columns on the right.
        for right, field, shade in ((0, "change:N", LIGHT.muted), (change_room, "text:N", LIGHT.ink)):
            numbers_at = base.encode(x=alt.value(alt.ExprRef(f"width - {right:.0f}")), text=field)
            layers.append(numbers_at.mark_text(align="right", color=shade, aria=False))
    else:
        sides: tuple[tuple[Any, str], ...] = (("left", "datum.at >= 0"), ("right", "datum.at < 0"))
        for side, test in sides:
            if side == "left" or low < 0:
                texts = base.transform_filter(test).encode(x=alt.X("at:Q"), text="text:N")
                dx = 6 if side == "left" else -6
                layers.append(texts.mark_text(align=side, dx=dx, color=LIGHT.ink, aria=False))
    pairs = [(n, v) for n in kept if (v := found[n][0]) is not None]
    what = f"{len(kept)} bars by {label}; {list_values(pairs, unit)}."
    return dress(
        alt.layer(*layers),
        title=title,
        notes=said,
        description=sentence(title, what),
        width=width,
        height=BAND * len(kept),
    )


def _is_day(value: object) -> bool:
    """A date, or text that is one."""
    return isinstance(value, date) or (isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None)


def _grouped(
    rows: list[Row],
    label: str,
    value: str,
    series: str,
    *,
    unit: str,
    title: str,
    top: int,
    sort: str,
    notes: Sequence[str],
    width: int,
) -> Any:
    """Bars side by side: one for each label and each value of `series`."""
    import altair as alt

    found: dict[tuple[str, str], float | int | None] = {}
    for row in rows:
        at = (label_of(row.get(label)), label_of(row.get(series)))
        if at in found:
            raise UsageError(f"Two rows share {label} {at[0]!r} and {series} {at[1]!r}: aggregate first.")
        found[at] = as_number(row.get(value), value)
    known = {at: v for at, v in found.items() if v is not None}
    said = [*notes]
    if not known:
        return empty(title, said, width, HEIGHT)
    names = list(dict.fromkeys(at[0] for at in found))
    if sort == "value":
        peaks = {n: max((v for at, v in known.items() if at[0] == n), default=float("-inf")) for n in names}
        names.sort(key=lambda n: (-peaks[n], n))
    if len(names) > top:
        said.append(f"The {top} {'largest' if sort == 'value' else 'first'} of {len(names)} are shown.")
    names = names[:top]
    sizes: dict[str, float] = {}
    for (_, group), got in known.items():
        sizes[group] = sizes.get(group, 0.0) + abs(got)
    groups = by_name(largest(sizes, MAX_SERIES))
    if len(sizes) > len(groups):
        said.append(f"The {len(groups)} largest of {len(sizes)} values of {series} are shown.")
    marks: list[Row] = []
    for name in names:
        for group in groups:
            number_at = known.get((name, group))
            text = format_value(number_at, unit, compact=True) if number_at is not None else "no data"
            tip = f"{name}, {group}: {format_value(number_at, unit) if number_at is not None else 'no data'}"
            marks.append(
                {"label": name, "series": group, "y": number_at, "at": number_at or 0, "text": text, "tip": tip}
            )
    numbers = [m["at"] for m in marks]
    low, high = min(0, *numbers), max(0, *numbers)
    room = (max(len(m["text"]) for m in marks) + 1) * CHAR + 8
    scale = alt.Scale(
        domain=[low, high if high > low else low + 1],
        nice=False,
        rangeMin=room if low < 0 else 0,
        rangeMax=alt.ExprRef(f"width - {room:.0f}"),
    )
    axis = alt.Axis(labelLimit=170, domain=False, ticks=False, labelColor=LIGHT.ink)
    base = alt.Chart(inline(marks)).encode(
        y=alt.Y("label:N", sort=names, title=None, axis=axis, scale=alt.Scale(paddingInner=0.3)),
        yOffset=alt.YOffset("series:N", sort=groups, scale=alt.Scale(domain=groups)),
    )
    key = legend(groups, series.replace("_", " "), symbolType="square")
    bars = base.encode(
        x=alt.X("y:Q", axis=None, scale=scale),
        color=alt.Color("series:N", scale=alt.Scale(domain=groups), legend=key),
        description="tip:N",
        tooltip=alt.Tooltip("tip:N", title=" "),
    )
    layers: list[Any] = [bars.mark_bar(cornerRadiusEnd=2)]
    sides: tuple[tuple[Any, str], ...] = (("left", "datum.at >= 0"), ("right", "datum.at < 0"))
    for side, test in sides:
        if side == "left" or low < 0:
            texts = base.transform_filter(test).encode(x=alt.X("at:Q"), text="text:N")
            layers.append(
                texts.mark_text(align=side, dx=6 if side == "left" else -6, color=LIGHT.ink, fontSize=10, aria=False)
            )
    peak = max((m for m in marks if m["y"] is not None), key=lambda m: m["y"])
    what = f"{len(names)} groups of {len(groups)} bars ({', '.join(clip(g) for g in groups)}) by {label}; "
    return dress(
        alt.layer(*layers),
        title=title,
        notes=said,
        description=sentence(title, what + f"highest {peak['tip']}."),
        width=width,
        height=round(len(names) * (len(groups) * 17 + 10)),
    )


def histogram(
    data: Any,
    start: str,
    count: str,
    *,
    end: str | None = None,
    series: str | None = None,
    unit: str = "",
    count_unit: str = "count",
    title: str = "",
    x_title: str | None = None,
    notes: Sequence[str] = (),
    width: int = WIDTH,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """Columns over bins that the rows already are: `start` (and `end`) of a bin, and its `count`.

    Without `end` the bins are as wide as the least distance between two starts. A `start` that is no
    number is a labelled bin, drawn in the order of the rows. With `series` each is drawn as its share
    of its own total, as steps over each other, so that groups of unequal size compare.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, start, count, end, series)
    rows = [r for r in rows if r.get(start) is not None]
    counts = [v for r in rows if (v := as_number(r.get(count), count)) is not None]
    if not counts:
        return empty(title, notes, width, height)
    starts = [r[start] for r in rows]
    binned = all(isinstance(v, int | float) and not isinstance(v, bool) for v in starts)
    edges = sorted(set(starts)) if binned else []
    step = min((b - a for a, b in pairwise(edges)), default=1)
    totals: dict[str, float] = {}
    for row in rows:
        name = label_of(row[series]) if series else ""
        totals[name] = totals.get(name, 0.0) + (as_number(row.get(count), count) or 0)
    names = by_name(largest(totals, MAX_SERIES))
    said = list(notes)
    if len(totals) > len(names):
        said.append(f"The {len(names)} largest of {len(totals)} are shown.")
    marks: list[Row] = []
    for row in rows:
        name = label_of(row[series]) if series else ""
        got = as_number(row.get(count), count)
        if name not in names or got is None:
            continue
        low = row[start]
        high = (as_number(row.get(end), end) if end else None) if binned else None
        if binned and high is None:
            high = low + step
        share = got / totals[name] if totals[name] else 0.0
        where = f"{format_value(low)} to {format_value(high, unit)}" if binned else label_of(low)
        shown = format_value(got, count_unit) + (f" ({format_value(share, 'share')} of its group)" if series else "")
        marks.append(
            {
                "start": low if binned else label_of(low),
                "end": high,
                "y": share if series else got,
                "series": name,
                "tip": f"{where}: {name + ' ' if name else ''}{shown}",
            }
        )
    top = max(m["y"] for m in marks)
    y_unit = "share" if series else count_unit
    y_title = None if series else count
    if series:
        said.append("Height: share of the group.")
    y = alt.Y(
        "y:Q",
        stack=None,
        axis=value_axis(y_unit, 0, top, title=y_title),
        scale=alt.Scale(domain=[0, top], nice=True),
    )
    ground = alt.datum(0)
    base = alt.Chart(inline(marks))
    title_x = x_title if x_title is not None else start
    tip: dict[str, Any] = {"description": "tip:N", "tooltip": alt.Tooltip("tip:N", title=" ")}
    layers: list[Any] = []
    if binned:
        low, high = min(m["start"] for m in marks), max(m["end"] for m in marks)
        axis = value_axis(unit, low, high, title=title_x, tickCount=8)
        x = alt.X("start:Q", axis=axis, scale=alt.Scale(domain=[low, high], nice=False, zero=False))
        if series:
            colour = alt.Color(
                "series:N",
                scale=alt.Scale(domain=names),
                legend=legend(names, series, symbolType="stroke", symbolOpacity=1),
            )
            outline = alt.Chart(inline(_steps(marks, names))).encode(x=x, y=y, color=colour)
            layers.append(outline.mark_area(interpolate="step-after", opacity=0.12, line=False, aria=False))
            layers.append(outline.mark_line(interpolate="step-after", strokeWidth=2, aria=False))
            # Invisible bars carry the tooltips.
            layers.append(base.encode(x=x, x2="end:Q", y=y, y2=ground, **tip).mark_bar(opacity=0))
        else:
            layers.append(
                base.encode(x=x, x2="end:Q", y=y, y2=ground, **tip).mark_bar(
                    color=LIGHT.series[0], stroke=LIGHT.surface, strokeWidth=1
                )
            )
    else:
        order = list(dict.fromkeys(m["start"] for m in marks))
        angle = 0 if sum(len(o) + 2 for o in order) * CHAR < width - 60 else -35
        x_band = alt.X("start:N", sort=order, title=title_x, axis=alt.Axis(labelAngle=angle))
        columns = base.encode(x=x_band, y=y, **tip)
        if series:
            columns = columns.encode(
                xOffset=alt.XOffset("series:N", sort=names),
                color=alt.Color(
                    "series:N", scale=alt.Scale(domain=names), legend=legend(names, series, symbolType="square")
                ),
            )
            layers.append(columns.mark_bar())
        else:
            layers.append(columns.mark_bar(color=LIGHT.series[0]))
    peak = max(marks, key=lambda m: m["y"])
    total = format_value(sum(totals.values()), count_unit)
    groups = f", {len(names)} groups" if series else ""
    what = f"histogram of {total} in {len({m['start'] for m in marks})} bins{groups}; highest {peak['tip']}."
    return dress(
        alt.layer(*layers), title=title, notes=said, description=sentence(title, what), width=width, height=height
    )


def _steps(marks: list[Row], names: list[str]) -> list[Row]:
    """The outline of each group's columns: 0 wherever a bin is missing, and back to 0 at the end."""
    points: list[Row] = []
    for name in names:
        own = sorted((m for m in marks if m["series"] == name), key=lambda m: m["start"])
        for i, mark in enumerate(own):
            points.append({"start": mark["start"], "y": mark["y"], "series": name})
            if i + 1 == len(own) or own[i + 1]["start"] > mark["end"] + 1e-9:
                points.append({"start": mark["end"], "y": 0, "series": name})
    return points


def funnel(
    data: Any,
    step: str,
    count: str,
    *,
    optional: str = "",
    title: str = "",
    unit: str = "count",
    notes: Sequence[str] = (),
    width: int = WIDTH,
) -> alt.LayerChart:
    """One bar a step, in the order of the rows: how many got there, of the first step and of the one before.

    The pale part of a bar is what the step before had more. `optional` is a field that is true for steps that
    need not be taken: the step after one is compared with the required step before it.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, step, count)
    if not rows or all(r.get(count) is None for r in rows):
        return empty(title, notes, width, HEIGHT)
    first = as_number(rows[0].get(count), count)
    marks: list[Row] = []
    before: float | int | None = None
    for i, row in enumerate(rows):
        got = as_number(row.get(count), count)
        of_all = got / first if got is not None and first else None
        of_step = got / before if got is not None and before else None
        # A step number keeps two steps of one name apart, and people count steps anyway.
        name = f"{i + 1}. {clip(label_of(row.get(step)), 26)}"
        marks.append(
            {
                "label": name,
                "y": got,
                "before": before if i else got,
                "of_step": (f"{format_value(of_step, 'share')} of previous" if i else "enter here")
                + (", optional" if optional and row.get(optional) else ""),
                "text": format_value(got, unit, compact=True)
                + (f" · {format_value(of_all, 'share')} of all" if i else ""),
                "tip": f"step {name}: {format_value(got, unit)}"
                + (f", {format_value(of_step, 'share')} of the step before" if i else "")
                + (f", {format_value(of_all, 'share')} of the first" if i else ""),
            }
        )
        if not (optional and row.get(optional)):
            before = got
    high = max((m["y"] or 0) for m in marks) or 1
    room = (max(len(m["text"]) for m in marks) + 1) * CHAR + 8
    names = [m["label"] for m in marks]
    # The second line of a step's label is its conversion from the step before.
    lookup = f"[datum.value, {json.dumps({m['label']: m['of_step'] for m in marks})}[datum.value]]"
    y = alt.Y(
        "label:N",
        sort=names,
        title=None,
        scale=alt.Scale(paddingInner=0.35, paddingOuter=0.15),
        axis=alt.Axis(
            labelExpr=lookup,
            labelLimit=190,
            labelOffset=-7,
            labelLineHeight=15,
            labelColor=LIGHT.ink,
            domain=False,
            ticks=False,
        ),
    )
    scale = alt.Scale(domain=[0, high], nice=False, rangeMax=alt.ExprRef(f"width - {room:.0f}"))
    base = alt.Chart(inline(marks)).encode(y=y)
    ghost = base.transform_filter("datum.before > datum.y").encode(
        x=alt.X("y:Q", axis=None, scale=scale), x2="before:Q"
    )
    bars = base.encode(
        x=alt.X("y:Q", axis=None, scale=scale), description="tip:N", tooltip=alt.Tooltip("tip:N", title=" ")
    )
    texts = base.transform_calculate(end="max(datum.y, datum.before)").encode(x=alt.X("end:Q"), text="text:N")
    chart = alt.layer(
        ghost.mark_bar(color=LIGHT.ghost, aria=False),
        bars.mark_bar(color=LIGHT.series[0], cornerRadiusEnd=2),
        texts.mark_text(align="left", dx=8, color=LIGHT.ink, aria=False),
    )
    what = f"funnel of {len(marks)} steps; " + "; ".join(m["tip"] for m in marks) + "."
    return dress(
        chart,
        title=title,
        notes=notes,
        description=sentence(title, what),
        width=width,
        height=46 * len(marks),
    )


def headline(
    value: float | int | None,
    previous: float | int | None = None,
    *,
    unit: str = "",
    better: Better = "none",
) -> dict[str, str]:
    """The parts of a headline number as text: ``value``, ``change`` and ``mood`` (good, bad or flat)."""
    change = format_change(value, previous, unit)
    mood = "flat"
    if better != "none" and change[:1] in ("+", "−"):
        mood = "good" if (change[0] == "+") == (better == "up") else "bad"
    return {"value": format_value(value, unit, compact=True), "change": change, "mood": mood}


def number(
    value: float | int | None,
    *,
    label: str,
    previous: float | int | None = None,
    previous_label: str = "previous period",
    unit: str = "",
    better: Better = "none",
    title: str = "",
    notes: Sequence[str] = (),
    width: int = 240,
) -> alt.LayerChart:
    """A headline number as a picture: label, value, and its change with an arrow and the words for it."""
    import altair as alt

    parts = headline(value, previous, unit=unit, better=better)
    arrow = {"+": "▲ ", "−": "▼ "}.get(parts["change"][:1], "")
    change = f"{arrow}{parts['change']} vs {previous_label}" if parts["change"] else ""
    colour = {"good": LIGHT.good, "bad": LIGHT.bad, "flat": LIGHT.muted}[parts["mood"]]
    lines: list[tuple[str, int, Any, str, int]] = [
        (label, 12, "normal", LIGHT.muted, 12),
        (parts["value"], 28, "bold", LIGHT.ink, 42),
        (change, 12, "normal", colour, 72),
    ]
    layers = [
        alt.Chart(inline([{"text": text}]))
        .mark_text(align="left", fontSize=size, fontWeight=weight, color=shade, x=2, y=at, aria=False)
        .encode(text="text:N")
        for text, size, weight, shade, at in lines
        if text
    ]
    what = f"{label} {format_value(value, unit)}" + (f", {parts['change']} vs {previous_label}" if change else "")
    return dress(
        alt.layer(*layers), title=title, notes=notes, description=sentence(title, what + "."), width=width, height=84
    )
