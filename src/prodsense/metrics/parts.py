"""One aggregate query a source: the forms of `Metric`, written as CTEs.

Each part yields one row a period and slice, with a column a metric. Metrics of one source, time and form share
a part, so that ten metrics cost one scan: a metric's condition becomes a FILTER.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from prodsense.contracts.sql import parse
from prodsense.errors import UsageError
from prodsense.metrics.definitions import ORDER, Definition, aggregates
from prodsense.metrics.names import ident, written
from prodsense.metrics.rows import Context, Rows

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.metrics.rollups import Rollup, RollupRows

#: Column that counts the rows any metric of the part reads, so that slices without any can be left out.
MATCHED = "_matched"

Ctes = list[tuple[str, "exp.Query"]]


@dataclass(frozen=True)
class Shape:
    """What metrics of one part have in common; `step` is day, week or month for `per`, day for `last`."""

    source: str
    time: str
    matures: int = 0
    form: str = "plain"
    step: str = ""
    subject: str = ""
    where: str = ""
    by: tuple[str, ...] = ()


@dataclass
class Part:
    """A shape and its metrics, each under its output column."""

    shape: Shape
    name: str
    measures: dict[str, Definition] = field(default_factory=dict)

    @property
    def sparse(self) -> bool:
        """Whether every metric has a condition, so that a slice may hold rows and yet none that count."""
        return all(d.where is not None for d in self.measures.values()) and self.shape.form != "rolling"


def shape_of(definition: Definition, grain: str, by: tuple[str, ...]) -> Shape:
    """The part that a metric belongs to; UsageError when the grain is finer than the metric is defined for."""
    metric = definition.metric
    base = (definition.relation.name, definition.time, metric.matures)
    if metric.rolling and not (metric.per and ORDER[grain] >= ORDER[metric.per]):
        return Shape(*base, "rolling", "", definition.subject().sql("duckdb"), metric.where, by)
    if metric.per:
        if ORDER[grain] < ORDER[metric.per]:
            raise UsageError(f"{metric.name} is defined per {metric.per}; ask for grain {metric.per} or coarser")
        if grain != metric.per:
            return Shape(*base, "per", metric.per, by=by)
    if metric.last and grain != "day":
        return Shape(*base, "last", "day", by=by)
    return Shape(*base, by=by)


def write(part: Part, context: Context, flag: bool) -> tuple[Ctes, exp.Select]:
    """The part's helper CTEs and its SELECT. `flag` adds the column `MATCHED`."""
    from prodsense.metrics.rollups import RollupRows, answering

    rollup = answering(part, context)
    if rollup is not None:
        return [], _summed(part, rollup, RollupRows(context, rollup), flag)
    relation = next(iter(part.measures.values())).relation
    rows = Rows(context, relation, part.shape.time)
    if not part.shape.time and context.grain != "all":
        raise UsageError(f"{relation.name} has no time; ask for grain all")
    slices = {name: rows.dimension(context.scope.dimension(name)) for name in part.shape.by}
    if part.shape.form == "rolling":
        return _rolling(part, rows, slices, flag)
    if part.shape.form in ("per", "last"):
        return _stepwise(part, rows, slices, flag)
    keys = dict(slices)
    if context.grain != "all":
        keys = {"period": rows.period(context.grain), **slices}
    return [], _aggregate(part, rows, keys, flag)


def _aggregate(part: Part, rows: Rows, keys: dict[str, exp.Expression], flag: bool) -> exp.Select:
    """SELECT keys, metrics FROM rows GROUP BY keys."""
    from sqlglot import exp

    items = [exp.alias_(key, ident(name)) for name, key in keys.items()]
    for name, definition in part.measures.items():
        value = _filtered(definition, rows)
        if not keys and definition.is_count:
            # Without keys there is always one row: no rows at all are NULL, not 0.
            value = exp.Case(ifs=[exp.If(this=exp.GT(
                this=exp.Count(this=exp.Star()), expression=exp.Literal.number(0)), true=value)])
        items.append(exp.alias_(value, ident(name)))
    if flag:
        items.append(exp.alias_(_matched(part, rows), MATCHED))
    query = rows.select(items, rows.conditions(matures=part.shape.matures))
    if keys:
        query = query.group_by(*(exp.Literal.number(i + 1) for i in range(len(keys))), copy=False)
    return query


def _summed(part: Part, rollup: Rollup, rows: RollupRows, flag: bool) -> exp.Select:
    """What `_aggregate` gives, out of a rollup."""
    from sqlglot import exp

    from prodsense.metrics.rollups import matched, rewritten

    keys = {name: rows.column(name) for name in part.shape.by}
    if rows.context.grain != "all":
        keys = {"period": rows.period(rows.context.grain), **keys}
    items = [exp.alias_(key, ident(name)) for name, key in keys.items()]
    for name, definition in part.measures.items():
        value = rewritten(definition, rollup, rows)
        if not keys and definition.is_count:
            value = exp.Case(ifs=[exp.If(this=exp.GT(
                this=exp.Count(this=exp.Star()), expression=exp.Literal.number(0)), true=value)])
        items.append(exp.alias_(value, ident(name)))
    if flag:
        items.append(exp.alias_(matched(part, rollup, rows), MATCHED))
    query = rows.select(items, rows.conditions())
    if keys:
        query = query.group_by(*(exp.Literal.number(i + 1) for i in range(len(keys))), copy=False)
    return query


def _filtered(definition: Definition, rows: Rows) -> exp.Expression:
    """The metric's aggregate, each call restricted by the metric's condition."""
    from sqlglot import exp

    value = exp.Paren(this=rows.own(definition.value))
    if definition.where is not None:
        for call in aggregates(value):
            condition = rows.own(definition.where)
            above = call.parent
            if isinstance(above, exp.Filter):
                above.expression.set("this", exp.and_(condition, above.expression.this))
            else:
                copy = call.copy()
                call.replace(exp.Filter(this=copy, expression=exp.Where(this=condition)))
    return value.this


def _matched(part: Part, rows: Rows) -> exp.Expression:
    from sqlglot import exp

    everything = exp.Count(this=exp.Star())
    if not part.sparse:
        return everything
    wheres = {d.metric.where: rows.own(d.where) for d in part.measures.values() if d.where is not None}
    return exp.Filter(this=everything, expression=exp.Where(this=exp.or_(*wheres.values())))


def _text(sql: str) -> exp.Query:
    from sqlglot import exp

    tree = parse(sql, "compiler")
    assert isinstance(tree, exp.Query)
    return tree


def _named(values: Mapping[str, str]) -> str:
    """``value AS name, ...`` for a SELECT; none of the values is empty."""
    return ", ".join(f"{value} AS {written(name)}" for name, value in values.items())


def _list(*items: str) -> str:
    return ", ".join(item for item in items if item)


def _stepwise(part: Part, rows: Rows, slices: dict[str, exp.Expression], flag: bool) -> tuple[Ctes, exp.Select]:
    """Values of each step (day, week or month), then their mean or the last of them in each period."""
    from sqlglot import exp

    context, step = rows.context, part.shape.step
    inner = _aggregate(part, rows, {f"_{step}": rows.period(step), **slices}, flag)
    steps = f"{part.name}_{step}s"
    timed = context.grain != "all"
    period = f"period_start(_{step}, '{context.grain}')" if timed else ""
    columns = [written(name) for name in slices]
    matched = f"SUM({MATCHED}) AS {MATCHED}" if flag else ""
    ctes: Ctes = [(steps, inner)]
    if part.shape.form == "per":
        source = steps
        counting = {name for name, d in part.measures.items() if d.counts}
        how = f"the mean of the {step}s inside" + (" (a week belongs to where it starts)" if step == "week" else "")
        if counting and (slices or context.filter is not None):
            source, calendar = _with_calendar(part, rows, steps, period)
            ctes.append(calendar)
            how += f"; a {step} with data, but none of what is asked for, counts 0"
        else:
            counting = set()
        values = [
            f"ratio(SUM({written(name)}), MAX(_steps)) AS {written(name)}" if name in counting
            else f"mean({written(name)}) AS {written(name)}"
            for name in part.measures
        ]
        body = _list(f"{period} AS period" if timed else "", *columns, *values, matched)
    else:
        newest = f"MAX(_{step}) OVER (PARTITION BY {period})" if timed else f"MAX(_{step}) OVER ()"
        inside = _list(f"{period} AS period" if timed else "", "*", f"{newest} = _{step} AS _is_last")
        source = f"(SELECT {inside} FROM {steps}) AS {part.name}_marked"
        values = [f"MAX({written(name)}) FILTER (WHERE _is_last) AS {written(name)}" for name in part.measures]
        body = _list("period" if timed else "", *columns, *values, matched)
        how = "the value of the last day with data, not a sum over days"
    count = len(columns) + timed
    group = f" GROUP BY {_list(*(str(i + 1) for i in range(count)))}" if count else ""
    for name, definition in part.measures.items():
        context.note(f"{definition.metric.name or name}: {'each period' if timed else 'the window'} shows {how}")
    select = _text(f"SELECT {body} FROM {source}{group}")
    assert isinstance(select, exp.Select)
    return ctes, select


def _with_calendar(part: Part, rows: Rows, steps: str, period: str) -> tuple[str, tuple[str, exp.Query]]:
    """`steps` joined with how many steps of its period the source has any row in, and the CTE of those steps.

    The mean of a count is over them: a slice that nobody was in on most days is not larger for that.
    """
    from sqlglot import exp

    step, name = part.shape.step, f"{part.name}_calendar"
    everyone = Rows(replace(rows.context, filter=None), rows.relation, rows.time)
    days = everyone.select(
        [exp.alias_(everyone.period(step), f"_{step}")], everyone.conditions(matures=part.shape.matures)
    ).distinct()
    counted = f"SELECT {_list(f'{period} AS _period' if period else '', 'COUNT(*) AS _steps')} FROM {name}"
    if period:
        return f"{steps} JOIN ({counted} GROUP BY 1) AS counted ON _period = {period}", (name, days)
    return f"{steps} CROSS JOIN ({counted}) AS counted", (name, days)


def _rolling(part: Part, rows: Rows, slices: dict[str, exp.Expression], flag: bool) -> tuple[Ctes, exp.Select]:
    """Distinct subjects of the trailing k days, for any k, in one pass over subject-days.

    A subject active on day d counts from d on, for k days or until its next active day, where it counts anew:
    +1 at d and -1 at d + min(gap, k), summed up over time. Changes are summed by period, so that the running
    sum at a period is the value of its last day.
    """
    from sqlglot import exp

    context, name, grain = rows.context, part.name, rows.context.grain
    first = next(iter(part.measures.values()))
    windows = {column: d.metric.rolling for column, d in part.measures.items()}
    longest = max(windows.values())
    subject = rows.own(first.subject())
    items = [exp.alias_(subject, "_subject"), exp.alias_(rows.period("day"), "_day")]
    items += [exp.alias_(value, ident(column)) for column, value in slices.items()]
    conditions = rows.conditions(since=f"rolling_{longest}")
    if first.where is not None:
        condition = rows.own(first.where)
        conditions.append(exp.Paren(this=condition) if isinstance(condition, exp.Or) else condition)
    conditions.append(exp.Not(this=exp.Is(this=subject.copy(), expression=exp.Null())))
    days = rows.select(items, conditions).distinct()

    by = ", ".join(written(s) for s in slices)
    comma_by = f", {by}" if by else ""
    partition = f"PARTITION BY {by} " if by else ""
    ctes: Ctes = [(f"{name}_days", days)]
    ctes.append((f"{name}_stays", _text(
        f"SELECT _day{comma_by}, LEAST(COALESCE(days_between(_day, _next_day), {longest}), {longest}) AS _stay,"
        f" COUNT(*) AS _subjects FROM (SELECT _day{comma_by},"
        f" LEAD(_day) OVER (PARTITION BY _subject{comma_by} ORDER BY _day) AS _next_day FROM {name}_days) AS gaps"
        f" GROUP BY {_list(*(str(i + 1) for i in range(len(slices) + 2)))}"
    )))
    changes = [f"SELECT _day{comma_by}, {_named(dict.fromkeys(windows, '_subjects'))} FROM {name}_stays"]
    for column, window in windows.items():
        leaving = _named({c: "-_subjects" if c == column else "0" for c in windows})
        changes.append(f"SELECT add_days(_day, LEAST(_stay, {window})) AS _day{comma_by}, {leaving} FROM {name}_stays")
    ctes.append((f"{name}_changes", _text(" UNION ALL ".join(changes))))

    sums = _named({c: f"SUM({written(c)})" for c in windows})
    # Nobody in the trailing window means no data in it: NULL, as for any other metric.
    values = _list(_named({c: f"NULLIF({written(c)}, 0)" for c in windows}), f"1 AS {MATCHED}" if flag else "")
    group = f" GROUP BY {_list(*(str(i + 1) for i in range(len(slices))))}" if slices else ""
    if grain == "all":
        select = _text(
            f"SELECT {_list(by, values)} FROM (SELECT {_list(by, sums)} FROM {name}_changes"
            f" WHERE _day <= :last_day{group}) AS totals"
        )
    else:
        period = "_day" if grain == "day" else f"period_start(_day, '{grain}')"
        grid = (
            f"SELECT date_of(_day) AS _day{comma_by}, {_named(dict.fromkeys(windows, '0'))}"
            f" FROM (SELECT day_list(:first_day, :last_day) AS _day) AS calendar"
            + (f" CROSS JOIN (SELECT DISTINCT {by} FROM {name}_days) AS slices" if slices else "")
        )
        ctes.append((f"{name}_steps", _text(
            f"SELECT {period} AS period{comma_by}, {sums} FROM (SELECT * FROM {name}_changes UNION ALL {grid})"
            f" AS changes WHERE _day <= :last_day GROUP BY {_list(*(str(i + 1) for i in range(len(slices) + 1)))}"
        )))
        running = _named({c: f"SUM({written(c)}) OVER ({partition}ORDER BY period)" for c in windows})
        shown = " WHERE period >= :first_period" if context.request.since else ""
        select = _text(
            f"SELECT period{comma_by}, {values} FROM (SELECT period{comma_by}, {running} FROM {name}_steps)"
            f" AS running{shown}"
        )
    for definition in part.measures.values():
        metric = definition.metric
        ends = "the day of as_of or the end of the window" if grain == "all" else f"the last day of each {grain}"
        trailing = f"{metric.rolling} days" if metric.rolling > 1 else "day"
        if grain != "day":
            context.note(f"{metric.name}: distinct over the trailing {trailing}, as of {ends}")
    assert isinstance(select, exp.Select)
    return ctes, select
