"""The chart builders by name, and the choice of one for a metric's result.

Every builder takes plain rows (a list of dicts, a result, an Arrow table) and field names, and returns an
Altair chart in the light theme with alt text. Inside, the fields have names of our own (``x``, ``y``,
``series``), so that no name of a column or dimension can break a spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from prodsense.charts.bars import bar, funnel, histogram, number
from prodsense.charts.grids import heatmap
from prodsense.charts.lines import area, line
from prodsense.charts.parts import WIDTH, dress, spoken
from prodsense.charts.rows import Row, as_number, label_of, natural_key, plain_rows
from prodsense.errors import UsageError

__all__ = ["FORMS", "area", "bar", "chart_result", "chart_rows", "funnel", "heatmap", "histogram", "line", "number"]

FORMS = ("line", "bar", "area", "heatmap", "histogram", "funnel", "number")

_GRAINS = {"day": "day", "week": "week", "month": "month", "quarter": "quarter", "year": "year"}


class MetricResult(Protocol):
    """What `chart_result` reads of a metric's result."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def metrics(self) -> Sequence[str]: ...
    @property
    def by(self) -> Sequence[str]: ...
    @property
    def grain(self) -> str: ...
    @property
    def units(self) -> Mapping[str, str]: ...
    @property
    def incomplete(self) -> Sequence[str]: ...


def chart_result(
    result: MetricResult,
    form: str | None = None,
    *,
    metric: str | None = None,
    title: str = "",
    labels: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    additive: bool = False,
    previous_label: str = "",
    width: int = WIDTH,
) -> Any:
    """Draw a metric's result in the form that suits its shape, or in `form`.

    Over time: a line, several for one dimension (two dimensions are joined into one). Not over time:
    bars for one dimension, a heatmap for two, else the headline number; asked for as a line, the first dimension is
    the axis, and as bars, the second one groups them. Several metrics of one unit without
    slices share a picture; others stand below each other. `additive` says that slices may be added up
    (folded into "other"). Raises `UsageError` for a form that the result's shape cannot take.
    """
    if not hasattr(result, "metrics"):
        raise UsageError("These rows are of a query, not of a metric: draw them with chart_rows and name x and y.")
    names = [metric] if metric else list(result.metrics)
    unknown = [n for n in names if n not in result.metrics]
    if unknown:
        raise UsageError(f"The result has no metric {unknown[0]!r}; it has {', '.join(result.metrics)}.")
    if form is not None and form not in FORMS:
        raise UsageError(f"There is no chart form {form!r}: choose one of {', '.join(FORMS)}.")
    if not previous_label:
        previous_label = "a year before" if getattr(result, "compare", "") == "year" else "previous period"
    by, timed = list(result.by), result.grain != "all"
    chosen = form or ("line" if timed else ("number", "bar", "heatmap")[min(len(by), 2)])
    said = [*notes]
    rows = plain_rows(result)
    if len(by) > (1 if timed else 2) and chosen in ("line", "area", "bar"):
        rows, by = _joined(rows, by)
    labelled = {**{name: spoken(name) for name in names}, **(labels or {})}
    settings = _Settings(rows, by, result, chosen, labelled, said, additive, previous_label, width)
    if len(names) > 1 and timed and not by and chosen in ("line", "area"):
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(result.units.get(name, ""), []).append(name)
        if len(groups) == 1:
            return _together(names, settings, title)
    if len(names) > 1:
        return _stacked([_one(name, settings, labelled.get(name, name)) for name in names], title, chosen)
    return _one(names[0], settings, title or labelled.get(names[0], names[0]))


class _Settings:
    """What all pictures of one result have in common."""

    def __init__(
        self,
        rows: list[Row],
        by: list[str],
        result: MetricResult,
        form: str,
        labels: dict[str, str],
        notes: list[str],
        additive: bool,
        previous_label: str,
        width: int,
    ) -> None:
        self.rows, self.by, self.form, self.labels, self.notes = rows, by, form, labels, notes
        self.additive, self.previous_label, self.width = additive, previous_label, width
        self.grain, self.units, self.incomplete = result.grain, result.units, [str(p) for p in result.incomplete]

    def previous(self, name: str) -> str | None:
        field = f"{name}_previous"
        return field if any(field in row for row in self.rows[:1]) else None

    def spoken(self, dimension: str | None) -> str | None:
        """How a dimension is called in a picture."""
        return self.labels.get(dimension, dimension.replace("_", " ")) if dimension else None


def _one(name: str, s: _Settings, title: str) -> Any:
    unit, previous, timed = s.units.get(name, ""), s.previous(name), s.grain != "all"
    common: dict[str, Any] = {"unit": unit, "title": title, "notes": s.notes, "width": s.width}
    over_time: dict[str, Any] = {"grain": s.grain, "incomplete": s.incomplete, "x_title": None}
    rows = s.rows
    if s.form in ("line", "area") and timed:
        rows = [r for r in rows if r.get("period") is not None]
        if s.form == "area":
            if len(s.by) != 1:
                raise UsageError("Stacked areas need one dimension to stack: ask for the metric with --by.")
            return area(rows, "period", name, series=s.by[0], series_title=s.spoken(s.by[0]), **over_time, **common)
        series = s.by[0] if s.by else None
        then: dict[str, Any] = {"previous": previous, "previous_label": s.previous_label}
        return line(rows, "period", name, series=series, series_title=s.spoken(series), **then, **over_time, **common)
    if s.form == "line" and 1 <= len(s.by) <= 2:
        # Not over time: the first dimension is the axis (hours, days since), the second tells lines apart.
        series = s.by[1] if len(s.by) == 2 else None
        titles: dict[str, Any] = {"x_title": s.spoken(s.by[0]), "series_title": s.spoken(series)}
        return line(
            sorted(rows, key=lambda r: natural_key(r.get(s.by[0]))), s.by[0], name, series=series, **titles, **common
        )
    if s.form == "bar" and len(s.by) == 2 and not timed:
        return bar(rows, s.by[0], name, series=s.by[1], **common)
    if s.form == "bar" and len(s.by) == 1 and not timed:
        then = {"previous": previous, "previous_label": s.previous_label}
        return bar(rows, s.by[0], name, additive=s.additive, **then, **common)
    if s.form == "bar" and not s.by and timed:
        return histogram(rows, "period", name, count_unit=unit, x_title="", **_less(common, "unit"))
    if s.form == "heatmap" and len(s.by) + timed == 2:
        across = "period" if timed else s.by[1]
        titles = {"x_title": s.grain if timed else s.spoken(across), "y_title": s.spoken(s.by[0])}
        return heatmap(rows, across, s.by[0], name, grain=s.grain, **titles, **common)
    if s.form == "histogram" and s.by and not timed:
        series = s.by[1] if len(s.by) == 2 else None
        return histogram(rows, s.by[0], name, series=series, count_unit=unit, **_less(common, "unit"))
    if s.form == "funnel" and len(s.by) == 1 and not timed:
        return funnel(rows, s.by[0], name, unit=unit or "count", **_less(common, "unit"))
    if s.form == "number" and not s.by:
        row = _latest(rows, name, s.incomplete) if timed else (rows[0] if rows else {})
        value, then_value = as_number(row.get(name), name), as_number(row.get(previous), name) if previous else None
        label = s.labels.get(name, name)
        return number(value, label=label, previous=then_value, previous_label=s.previous_label, unit=unit)
    shape = f"grain {s.grain} and {len(s.by)} dimension{'' if len(s.by) == 1 else 's'}"
    raise UsageError(f"A result of {shape} cannot be drawn as {s.form}: leave the form out, or change --by or --grain.")


def _less(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k not in names}


def _latest(rows: list[Row], name: str, incomplete: Sequence[str]) -> Row:
    """The newest complete period with a value; failing that the newest with one."""
    known = sorted((r for r in rows if r.get(name) is not None), key=lambda r: str(r.get("period")))
    whole = [r for r in known if r.get("period") not in incomplete]
    return (whole or known or [{}])[-1]


def _joined(rows: list[Row], by: list[str]) -> tuple[list[Row], list[str]]:
    """Several dimensions as one, named ``a · b``."""
    name = " · ".join(by)
    return [{**row, name: " · ".join(label_of(row.get(d)) for d in by)} for row in rows], [name]


def _together(names: list[str], s: _Settings, title: str) -> Any:
    """Several metrics of one unit as lines of one picture."""
    long = [
        {"period": row.get("period"), "metric": s.labels.get(name, name), "value": row.get(name)}
        for name in names
        for row in s.rows
        if row.get("period") is not None
    ]
    draw: Callable[..., Any] = area if s.form == "area" else line
    return draw(
        long,
        "period",
        "value",
        series="metric",
        series_title="",
        unit=s.units.get(names[0], ""),
        title=title,
        grain=s.grain,
        incomplete=s.incomplete,
        notes=s.notes,
        width=s.width,
    )


def _stacked(charts: list[Any], title: str, form: str) -> Any:
    """Charts below each other (headline numbers beside each other) as one picture."""
    import altair as alt

    if title:
        title += ": "
    description = " ".join(str(chart.description) for chart in charts)
    notes: list[str] = []
    for chart in charts:
        notes += [n for n in chart.usermeta["prodsense"]["notes"] if n not in notes]
        # Only the outermost chart may carry config, and fitting is for single views.
        chart.config = alt.Undefined
        chart.autosize = alt.Undefined
        chart.usermeta = alt.Undefined
        if form in ("line", "area"):
            chart.height = 150
    put = alt.hconcat if form == "number" else alt.vconcat
    together = put(*charts, spacing=24).resolve_scale(color="independent")
    return dress(together, description=title + description, width=None).properties(
        usermeta={"prodsense": {"notes": notes}}
    )


def chart_rows(
    data: Any,
    form: str,
    *,
    x: str = "",
    y: str = "",
    by: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
    title: str = "",
    notes: Sequence[str] = (),
    grain: str = "",
    width: int = WIDTH,
) -> Any:
    """Draw the rows of a query in a named form.

    `x` is the ordered axis, the label, the bin's start or the step; `y` the number; `by` the field that tells
    series apart (for a heatmap: the rows). A missing `x` is the first column, a missing `y` the first
    numeric column that is neither `x` nor in `by`. Raises `UsageError` when no such column is there.
    """
    if form not in FORMS:
        raise UsageError(f"There is no chart form {form!r}: choose one of {', '.join(FORMS)}.")
    rows = plain_rows(data)
    columns = list(rows[0]) if rows else [c for c in (x, *by, y) if c]
    across = x or next((c for c in columns if c not in by and c != y), "")
    measure = y or next((c for c in columns if c != across and c not in by and _numeric(rows, c)), "")
    if form == "number" and not measure:
        measure = across
    if rows and not (across and measure):
        raise UsageError(f"There is nothing to draw in {', '.join(columns)}: name the fields x and y.")
    series = by[0] if by else None
    common: dict[str, Any] = {"title": title, "notes": notes, "width": width}
    unit = (units or {}).get(measure, "")
    if form == "line":
        return line(rows, across, measure, series=series, unit=unit, grain=grain, **common)
    if form == "bar":
        return bar(rows, across, measure, series=series, unit=unit, **common)
    if form == "funnel":
        return funnel(rows, across, measure, unit=unit or "count", **common)
    if form == "histogram":
        bins = (units or {}).get(across, "")
        end = next((c for c in columns if c in (f"{across}_end", "bin_end", "end") and c != across), None)
        return histogram(rows, across, measure, end=end, series=series, unit=bins, count_unit=unit or "count", **common)
    if form == "number":
        value = as_number(rows[0].get(measure), measure) if rows else None
        return number(value, label=measure, unit=unit, **_less(common, "width"))
    if series is None:
        what = "stack" if form == "area" else "make rows of"
        raise UsageError(f"A chart of form {form} needs a second field to {what}: name it in by.")
    if form == "area":
        return area(rows, across, measure, series=series, unit=unit, grain=grain, **common)
    return heatmap(rows, across, series, measure, unit=unit, grain=grain, **common)


def _numeric(rows: Sequence[Row], column: str) -> bool:
    values = [row.get(column) for row in rows]
    known = [v for v in values if v is not None]
    return bool(known) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)
