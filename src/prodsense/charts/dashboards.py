"""Declared dashboards and questions as pages. What fails shows its error in its place; the page always comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from prodsense.charts.builders import FORMS, chart_result, chart_rows
from prodsense.charts.page import ChartView, Page, PolicyView, SectionView, Tile
from prodsense.charts.parts import spoken
from prodsense.charts.rows import Row, as_number, period_label, plain_rows
from prodsense.charts.units import format_value
from prodsense.contracts.vocabulary import Chart, Dashboard, Metric, Policy, Query, Question, Section
from prodsense.errors import ProdsenseError, UsageError

#: A headline number is that of the newest complete period of this length, beside the one before it.
HEADLINE_GRAIN = "week"
#: How many periods the small line in a tile looks back.
TREND = 13
#: A question with more metrics than this shows the first as tiles and the others as a table.
MAX_TILES = 8
_ROWS_IN_ANSWER = 50


class Fetch(Protocol):
    """What a page asks of a warehouse; names are those of one pack."""

    def metric(self, names: Sequence[str], **request: Any) -> Any:
        """A metric result (`by`, `grain`, `compare` as in the request)."""

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Any:
        """The rows of a query."""

    def policy(self, name: str) -> Any:
        """Whether a policy holds: `state`, `says`, `violations`."""

    def metric_definition(self, name: str) -> Metric:
        """A metric's declaration."""


class Artefacts(Protocol):
    """What a question's page looks up of a pack."""

    @property
    def metrics(self) -> Mapping[str, Metric]: ...
    @property
    def queries(self) -> Mapping[str, Query]: ...
    @property
    def policies(self) -> Mapping[str, Policy]: ...
    @property
    def charts(self) -> Mapping[str, Chart]: ...


def dashboard_page(dashboard: Dashboard, fetch: Fetch, charts: Mapping[str, Chart] | None = None) -> Page:
    """A declared dashboard as a page: for each section headline numbers, pictures, policies.

    `charts` resolves the charts that a section names. A picture, number or policy that fails (a missing table, a
    refused slice) shows its error line; the rest of the page stands.
    """
    known = dict(charts or {})
    sections = [_section(section, fetch, known) for section in dashboard.sections]
    return Page(title=spoken(dashboard.name), subtitle=dashboard.says, sections=sections)


def _section(section: Section, fetch: Fetch, charts: Mapping[str, Chart]) -> SectionView:
    return SectionView(
        title=section.title,
        says=section.says,
        tiles=headline_tiles(section.metrics, fetch),
        charts=[chart_view(chart, fetch, charts) for chart in section.charts],
        policies=[policy_view(name, fetch) for name in section.policies],
    )


def answer_page(question: Question, fetch: Fetch, pack: Artefacts) -> Page:
    """The answer to a question: its headline numbers, its pictures, its tables, the state of its policies.

    Headlines are the question's own, else its first metrics; other metrics follow as a table. Artefacts of kinds that
    no page can run (experiments, analyses, pipelines) are named in a closing note with the command that does.
    """
    found = [name for name in question.answers if name in pack.metrics and not pack.metrics[name].hidden]
    heads = list(question.headline or found[:MAX_TILES])
    others = [name for name in found if name not in heads]
    sections = []
    if heads:
        sections.append(SectionView("In numbers", tiles=headline_tiles(heads, fetch)))
    drawn = [c for c in pack.charts.values() if c.question == question.id or c.name in question.answers]
    if drawn:
        sections.append(SectionView("In pictures", charts=[chart_view(c, fetch, pack.charts) for c in drawn]))
    if others:
        sections.append(SectionView("More metrics", charts=[_metric_table(others, fetch)]))
    shown = {chart.query for chart in drawn}
    queries = [name for name in question.answers if name in pack.queries and name not in shown]
    if queries:
        views = [_query_table(pack.queries[name], fetch) for name in queries]
        sections.append(SectionView("In tables", charts=views))
    policies = [name for name in question.answers if name in pack.policies]
    if policies:
        sections.append(SectionView("What must hold", policies=[policy_view(name, fetch) for name in policies]))
    if question.notes:
        sections.append(
            SectionView("Beside the numbers", notes=[f"{spoken(k)}: {v}" for k, v in question.notes.items()])
        )
    rest = [
        a for a in question.answers if not any(a in p for p in (pack.metrics, pack.queries, pack.policies, pack.charts))
    ]
    rest = [name for name in rest if name not in question.notes]
    slices = [name for name in rest if name in getattr(pack, "dimensions", {})]
    rest = [name for name in rest if name not in slices]
    notes = [f"The metrics can be sliced (`--by`) by {', '.join(slices)}."] if slices else []
    tests = [name for name in rest if name in getattr(pack, "experiments", {})]
    notes += [f"Its experiment: prodsense experiment {name}" for name in tests]
    rest = [name for name in rest if name not in tests]
    if rest:
        notes.append(f"Also part of the answer, see `prodsense catalog`: {', '.join(rest)}.")
    return Page(title=question.ask, subtitle=question.id, sections=sections, notes=notes)


# -- headline numbers ------------------------------------------------------------------------------


def headline_tiles(names: Sequence[str], fetch: Fetch) -> list[Tile]:
    """A tile for each metric: its newest complete week beside the week before, and the course of 13 weeks.

    Metrics that mature alike are asked for in one request; where that is refused each is asked for alone, and
    one without a weekly form is shown as it is over the whole time.
    """
    if not names:
        return []
    groups: dict[object, list[str]] = {}
    for name in names:
        definition = fetch.metric_definition(name)
        # A request's periods are incomplete for all its metrics together: one that waits 28 days for its answer
        # would make the weeks of the others incomplete too. What a derived metric waits for is not written on it.
        groups.setdefault(definition.matures if definition.source else name, []).append(name)
    weekly: dict[str, Any] = {}
    for group in groups.values():
        result = _try(partial(fetch.metric, group, grain=HEADLINE_GRAIN))
        weekly.update(dict.fromkeys(group, None if isinstance(result, str) and len(group) > 1 else result))
    return [_tile(name, fetch, weekly[name]) for name in names]


def _tile(name: str, fetch: Fetch, result: Any) -> Tile:
    definition = fetch.metric_definition(name)
    base: dict[str, Any] = {"label": spoken(name), "unit": definition.unit, "says": definition.says}
    weekly = result if result is not None else _try(lambda: fetch.metric([name], grain=HEADLINE_GRAIN))
    if not isinstance(weekly, str):
        tile = _weekly_tile(name, weekly, definition, base)
        if tile is not None:
            return tile
    whole = _try(lambda: fetch.metric([name], grain="all"))
    if isinstance(whole, str):
        return Tile(value=None, note=whole, **base)
    rows = plain_rows(whole)
    value = as_number(rows[0].get(name), name) if rows else None
    return Tile(
        value=value, better=definition.better, note="over the whole time" if value is not None else "no data", **base
    )


def _weekly_tile(name: str, result: Any, definition: Metric, base: dict[str, Any]) -> Tile | None:
    """None where the result has no week with a value."""
    rows = sorted((r for r in plain_rows(result) if r.get("period") is not None), key=lambda r: str(r["period"]))
    late = {str(p) for p in result.incomplete}
    known = [i for i, row in enumerate(rows) if row.get(name) is not None]
    whole = [i for i in known if rows[i]["period"] not in late]
    if not known:
        return None
    at = (whole or known)[-1]
    # Only the week just before counts as such: a gap is no week before.
    before = as_number(rows[at - 1].get(name), name) if at and whole else None
    trend = tuple(as_number(row.get(name), name) for row in rows[max(0, at - TREND + 1) : at + 1])
    note = period_label(rows[at]["period"], HEADLINE_GRAIN) + ("" if whole else ", not complete yet")
    return Tile(
        value=as_number(rows[at][name], name),
        previous=before,
        better=definition.better,
        note=note,
        versus=f"the {HEADLINE_GRAIN} before",
        trend=trend,
        **base,
    )


# -- pictures --------------------------------------------------------------------------------------


def chart_view(chart: Chart | str, fetch: Fetch, charts: Mapping[str, Chart]) -> ChartView:
    """A declared chart (or the name of one) drawn, or with its error in its place."""
    if isinstance(chart, str):
        if chart not in charts:
            return ChartView(
                title=spoken(chart), error=f"There is no chart named {chart}: declare it, or mend the name."
            )
        chart = charts[chart]
    declared = chart
    view = _try(lambda: _query_view(declared, fetch) if declared.query else _metric_view(declared, fetch))
    if isinstance(view, str):
        return ChartView(title=spoken(chart.name), says=chart.says, error=view)
    return view


def _metric_view(chart: Chart, fetch: Fetch) -> ChartView:
    if not chart.metrics:
        raise UsageError(f"Chart {chart.name} names neither metrics nor a query.")
    request: dict[str, Any] = {"by": list(chart.by), "grain": chart.grain}
    if chart.compare:
        request["compare"] = chart.compare
    result = fetch.metric(list(chart.metrics), **request, **dict(chart.params))
    labels = {name: spoken(name) for name in chart.metrics}
    picture = None
    if chart.form != "table":
        one = len(chart.metrics) == 1
        picture = chart_result(result, chart.form, labels=labels, title=spoken(chart.name) if one else "")
    return _view(chart, result, picture)


def _query_view(chart: Chart, fetch: Fetch) -> ChartView:
    result = fetch.query(chart.query, dict(chart.params))
    picture = None
    if chart.form in FORMS:
        title = spoken(chart.name)
        units = getattr(result, "units", {})
        picture = chart_rows(result, chart.form, x=chart.x, y=chart.y, by=chart.by, units=units, title=title)
    elif chart.form != "table":
        raise UsageError(f"Chart {chart.name} has the unknown form {chart.form!r}: {', '.join(FORMS)} or table.")
    return _view(chart, result, picture)


def _view(chart: Chart, result: Any, picture: Any) -> ChartView:
    return ChartView(
        title=spoken(chart.name),
        says=chart.says,
        chart=picture,
        rows=plain_rows(result),
        units=dict(getattr(result, "units", {})),
        grain=getattr(result, "grain", ""),
        sql=list(result.sql),
        notes=list(result.notes),
    )


def _query_table(query: Query, fetch: Fetch) -> ChartView:
    chart = Chart(query.name, query.says, query=query.name, form="table")
    view = chart_view(chart, fetch, {})
    if len(view.rows) <= _ROWS_IN_ANSWER:
        return view
    cut = f"The first {_ROWS_IN_ANSWER} of {len(view.rows)} rows; `prodsense query {query.name}` has all."
    return ChartView(
        view.title,
        view.says,
        rows=view.rows[:_ROWS_IN_ANSWER],
        units=view.units,
        sql=view.sql,
        notes=[*view.notes, cut],
    )


def _metric_table(names: Sequence[str], fetch: Fetch) -> ChartView:
    """Metrics over the whole time, one a row; a metric that fails says why in its row."""
    together = _try(lambda: fetch.metric(list(names), grain="all"))
    rows: list[Row] = []
    sql: list[str] = [] if isinstance(together, str) else list(together.sql)
    for name in names:
        definition = fetch.metric_definition(name)
        result = together if not isinstance(together, str) else _try(_alone(fetch, name))
        if isinstance(result, str):
            value = result
        else:
            found = plain_rows(result)
            value = format_value(found[0].get(name) if found else None, definition.unit)
            if isinstance(together, str):
                sql += list(result.sql)
        rows.append({"metric": name, "value": value, "what it says": definition.says})
    return ChartView(title="", rows=rows, sql=sql)


def _alone(fetch: Fetch, name: str) -> Callable[[], Any]:
    return lambda: fetch.metric([name], grain="all")


# -- policies --------------------------------------------------------------------------------------


def policy_view(name: str, fetch: Fetch) -> PolicyView:
    """A policy's state; unknown, with the reason, where it could not be checked."""
    found = _try(lambda: fetch.policy(name))
    if isinstance(found, str):
        return PolicyView(spoken(name), "unknown", error=found)
    count = len(found.violations)
    return PolicyView(spoken(name), found.state, says=found.says, violations=count)


# -- small things ----------------------------------------------------------------------------------


def _try(call: Callable[[], Any]) -> Any:
    """What the call returns, or the line of the error that it raised.

    Any error: one broken chart must not take the page of the others. What was not raised on purpose is a defect
    and is shown as one, with its type.
    """
    try:
        return call()
    except ProdsenseError as error:
        return error.message
    except Exception as error:
        return f"Unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"
